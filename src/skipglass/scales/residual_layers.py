"""What every quantity of the scales reads: `pairs` for a network in general, and the paper's own networks by module.

The graph does not tell the scales of a `ResidualMLP`. The normalisation of Eq. 22 is a product with a number computed
from λ and a buffer, which no graph can tell from another product; networks of several seeds have their batch norms on
views of the parameters, with seeds and units as channels alike; and the head is no layer of the paper's network.
"""

from torch import nn

from skipglass.errors import InputError
from skipglass.models import ResidualLayer
from skipglass.models.residual_mlp import EPS
from skipglass.scales.absorption import Absorption, Norm, Pairs, state_of
from skipglass.scales.pairs import pairs

__all__ = ["fitting", "layer_pairs", "pairs_of"]


def pairs_of(model: nn.Module, inputs: object) -> Pairs:
    """Return the pairs of a network: of its `ResidualLayer` layers, as given for ``inputs``, or of its graph."""
    own = layer_pairs(model)
    if own is not None:
        return own
    return fitting(inputs, model) if isinstance(inputs, Pairs) else pairs(model, inputs)


def fitting(network: Pairs, model: nn.Module) -> Pairs:
    """Return pairs that were read in the model that they are used for.

    Raises
    ------
    InputError
        If the model has no parameter or buffer of a name that they hold.
    """
    held = (part for norm in network.norms.values() for part in (norm.multiplier, norm.shift, norm.mean, norm.variance))
    own = state_of(model)
    for name in (*network.weights.values(), *held):
        if name is not None and name not in own:
            raise InputError(f"these pairs were read in another model: this one has no {name}; read them in this one")
    return network


def layer_pairs(model: nn.Module) -> Pairs | None:
    """Return how each `ResidualLayer` absorbs its own normalisation, W ← diag(λ/σ) W; None if a network has none."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, ResidualLayer)}
    if not layers:
        return None
    weights, norms, absorptions = {}, {}, []
    for name, layer in layers.items():
        prefix = f"{name}." if name else ""
        weights[name] = f"{prefix}weight"
        if layer.normalization == "none":
            continue
        centred = layer.normalization == "batch"
        shift, mean = (f"{prefix}shift", f"{prefix}running_mean") if centred else (None, None)
        norms[name] = Norm(name, f"{prefix}multiplier", shift, mean, f"{prefix}running_var", EPS)
        # the last dimension of λ runs over the rows of the weight, or (Eq. 22, one λ per network) over seeds
        axis = layer.multiplier.ndim - 1
        absorptions.append(Absorption(name, weights[name], None, False, layer.placement == "after", axis, 1, 1))
    return Pairs(weights, norms, tuple(absorptions), {}, seeds=layer.weight.ndim - 2)
