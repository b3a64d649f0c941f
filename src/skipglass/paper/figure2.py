"""Figure 2: the norm of each convolution with the following batch norm absorbed, by layer and epoch."""

from skipglass.paper.resnet_group import Group
from skipglass.paper.scale_panels import layer_panel, mean_panel
from skipglass.report import Axis, Panel

__all__ = ["VARIABLE", "by_layer", "mean_over_layers"]

VARIABLE = "absorbed_norm"
AXIS = Axis("‖diag(λ/σ) W_l‖")
TITLE = "Absorbed weight norm"


def by_layer(group: Group) -> Panel:
    """Return Fig. 2(a) for one setting: one line an epoch."""
    return layer_panel("figure2", TITLE, VARIABLE, AXIS, group)


def mean_over_layers(same: list[Group]) -> Panel:
    """Return Fig. 2(b): the mean over convolutions against the epoch."""
    return mean_panel("figure2", TITLE, VARIABLE, AXIS, same)
