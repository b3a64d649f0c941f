"""Figure 3: the norm of each batch norm's multipliers λ, by layer and epoch."""

from skipglass.paper.resnet_group import Group
from skipglass.paper.scale_panels import layer_panel, mean_panel
from skipglass.report import Axis, Panel

__all__ = ["VARIABLE", "by_layer", "mean_over_layers"]

VARIABLE = "multiplier_norm"
AXIS = Axis("‖λ_l‖")
TITLE = "Norm of the multipliers λ"


def by_layer(group: Group) -> Panel:
    """Return Fig. 3(a) for one setting: one line an epoch."""
    return layer_panel("figure3", TITLE, VARIABLE, AXIS, group)


def mean_over_layers(same: list[Group]) -> Panel:
    """Return Fig. 3(b): the mean over batch norms against the epoch."""
    return mean_panel("figure3", TITLE, VARIABLE, AXIS, same)
