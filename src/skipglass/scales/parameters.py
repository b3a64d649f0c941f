"""The scales of a network as its own parameters, to be differentiated."""

from collections.abc import Iterable
from difflib import get_close_matches

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from skipglass.errors import InputError
from skipglass.graph.inputs import require_module
from skipglass.scales.absorption import Pairs
from skipglass.scales.residual_layers import fitting, layer_pairs, pairs_of

__all__ = ["GLOBAL", "parameters_of"]

GLOBAL = "C"
"""Asks for the global scale of all weights, which is no parameter."""


def parameters_of(
    model: nn.Module, inputs: object = None, scales: Iterable[str] | Pairs | str | None = None
) -> dict[str, nn.Parameter]:
    """Return {name: parameter} of the scales of a network.

    Parameters
    ----------
    model, inputs
        The network, and what it takes; see `multipliers`.
    scales
        Names of parameters or one, the `pairs` of the network, or None for the multipliers of all batch norms. For "C",
        the global scale of all weights, there are none.

    Returns
    -------
    dict
        The model's own parameters, by the name that was asked for or that of the batch norm, in forward order.

    Raises
    ------
    InputError
        If there are none, a name is no name or unknown, the model holds several seeds, or "C" is asked for of a network
        with batch norm.
    """
    require_module(model)
    own = dict(model.named_parameters())
    layers = layer_pairs(model)
    if layers is not None and layers.seeds:
        raise InputError("the model holds networks of several seeds; build it with one (seeds=0) to measure its scales")
    if isinstance(scales, str) and scales == GLOBAL:
        for name, module in model.named_modules():
            if isinstance(module, _NormBase) or getattr(module, "running_var", None) is not None:
                raise InputError(f"C is the scale of networks without batch norm, and this one has {name}: ask for λ")
        return {}
    if scales is None or isinstance(scales, Pairs):
        network = pairs_of(model, inputs) if scales is None else fitting(scales, model)
        chosen = {name: own[norm.multiplier] for name, norm in network.norms.items() if norm.multiplier}
        if not chosen:
            raise InputError(
                "the model has no scales: no batch norm with multipliers; name parameters that are scales, or ask for "
                "'C', the global scale of the weights"
            )
        return chosen
    # what is left are names, which must be those of parameters
    names = [scales] if isinstance(scales, str) else list(scales) if isinstance(scales, Iterable) else [scales]
    if not names:
        raise InputError("scales names no parameter; name some, or leave it out for the multipliers of batch norms")
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"scales must be names of parameters, 'C', the result of pairs() or None, not {name!r}")
        if name not in own:
            near = ", ".join(get_close_matches(name, own, n=3)) or ", ".join(list(own)[:3])
            raise InputError(f"the model has no parameter {name!r} to be a scale; nearest: {near}")
    return {name: own[name] for name in names}
