"""The scales of a network as its own parameters, to be differentiated."""

from collections.abc import Iterable
from difflib import get_close_matches

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from skipglass.errors import InputError
from skipglass.models import ResidualLayer
from skipglass.scales.absorption import Pairs
from skipglass.scales.pairs import pairs
from skipglass.scales.residual_layers import has_layers

__all__ = ["parameters_of"]


def parameters_of(
    model: nn.Module, inputs: object, scales: Iterable[str] | Pairs | None, *, whole: bool = False
) -> dict[str, nn.Parameter]:
    """Return {name: parameter} of the scales of a network.

    Parameters
    ----------
    model, inputs
        What is asked, and what it takes.
    scales
        Names of parameters or one, what `pairs` has read, or None for the multipliers of all batch norms.
    whole
        The global scale of all weights is asked for: there are no single scales, and must be no batch norm.

    Raises
    ------
    InputError
        If there are none, a name is no name or unknown, the model holds several seeds, or it has batch norms and is
        asked for C.
    """
    own = dict(model.named_parameters())
    if any(isinstance(m, ResidualLayer) and m.weight.ndim > 2 for m in model.modules()):
        raise InputError("the model holds networks of several seeds; build it with one (seeds=0) to measure its scales")
    if whole:
        normed = [
            name
            for name, m in model.named_modules()
            if isinstance(m, _NormBase) or getattr(m, "running_var", None) is not None
        ]
        if normed:
            raise InputError(f"C is the scale of networks without batch norm, and this one has {normed[0]}: ask for λ")
        return {}
    if isinstance(scales, Iterable):
        names = [scales] if isinstance(scales, str) else list(scales)
        if not names:
            raise InputError("scales names no parameter; name some, or leave it out for the multipliers of batch norms")
        for name in names:
            if not isinstance(name, str):
                raise InputError(f"scales must be names of parameters, found {name!r}")
            if name not in own:
                near = ", ".join(get_close_matches(name, own, n=3)) or ", ".join(list(own)[:3])
                raise InputError(f"the model has no parameter {name!r} to be a scale; nearest: {near}")
        return {name: own[name] for name in names}
    if scales is not None and not isinstance(scales, Pairs):
        raise InputError(f"scales must be names of parameters, what pairs() has read, 'C' or None, not {scales!r}")
    if scales is None and has_layers(model):
        found = {
            n: m.multiplier
            for n, m in model.named_modules()
            if isinstance(m, ResidualLayer) and m.normalization != "none"
        }
    else:
        read = scales if isinstance(scales, Pairs) else pairs(model, inputs)
        found = {name: own[norm.multiplier] for name, norm in read.norms.items() if norm.multiplier}
    if not found:
        raise InputError(
            "the model has no scales: no batch norm with multipliers; name parameters that are scales, or ask for 'C', "
            "the global scale of the weights"
        )
    return found
