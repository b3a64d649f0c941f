"""Ways to write h + z, where h is the shortcut and z the branch, (N, T, D) each; and ways to take a token."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["PICKS", "WAYS", "Way"]


@dataclass(frozen=True)
class Way:
    """A way to write a sum, which operand of it is the branch, and the right verdict."""

    write: Callable[[Tensor, Tensor], Tensor]
    side: int | None = 1
    verdict: str = "block"


def _first_tokens(h: Tensor) -> Tensor:
    return torch.arange(max(1, h.shape[1] // 2))


def _index_add(h: Tensor, z: Tensor) -> Tensor:
    i = _first_tokens(h)
    return h.index_add(1, i, z[:, i])


def _index_put(h: Tensor, z: Tensor) -> Tensor:
    i = _first_tokens(h)
    return h.transpose(0, 1).index_put((i,), z.transpose(0, 1)[i], accumulate=True).transpose(0, 1)


def _places(z: Tensor) -> Tensor:
    return torch.arange(z.shape[1])[None, :, None].expand(z.shape)


def _in_a_slice(h: Tensor, z: Tensor) -> Tensor:
    y = h.clone()
    y[:, 1:] += z[:, 1:]
    return y


def _in_a_column(h: Tensor, z: Tensor) -> Tensor:
    y = h.clone()
    y.select(1, 0).add_(z[:, 0])
    return y


def _ones(h: Tensor, size: int) -> Tensor:
    return torch.ones(size, dtype=h.dtype)


def _matrix(h: Tensor, z: Tensor) -> Tensor:
    eye = torch.eye(h.shape[-1], dtype=h.dtype)
    return torch.cat([h, z], -1) @ torch.cat([eye, eye])


def _mask(h: Tensor) -> Tensor:
    return (torch.arange(h.shape[-1]) % 2 == 0).expand(h.shape)


def _in_a_transpose(h: Tensor, z: Tensor) -> Tensor:
    y = h.clone()
    y.mT.add_(z.mT)
    return y


def _convolved(h: Tensor, z: Tensor) -> Tensor:
    pair = torch.stack([h, z], 2).flatten(0, 1)
    return F.conv1d(pair, _parameter(h, 0.5)[:2].view(1, 2, 1)).view(h.shape)


def _parameter(h: Tensor, value: float) -> Tensor:
    return nn.Parameter(torch.full(h.shape[-1:], value, dtype=h.dtype))


def _convex(h: Tensor, z: Tensor) -> Tensor:
    w = torch.sigmoid(_parameter(h, 0.3))
    return w * h + (1 - w) * z


def _fold(h: Tensor, z: Tensor) -> Tensor:
    """Both side by side in time, and an average over pairs."""
    pairs = torch.stack([h, z], 2).flatten(1, 2)
    return F.avg_pool1d(pairs.transpose(1, 2), 2).transpose(1, 2)


WAYS: dict[str, Way] = {
    "h + z": Way(lambda h, z: h + z),
    "z + h": Way(lambda h, z: z + h, 0),
    "sum([h, z])": Way(lambda h, z: sum([h, z])),  # type: ignore[arg-type, return-value]
    "h += z": Way(lambda h, z: h.clone().add_(z)),
    "z += h": Way(lambda h, z: z.clone().add_(h), 0),
    "h + alpha z": Way(lambda h, z: torch.add(h, z, alpha=0.5)),
    "h - z": Way(lambda h, z: h - z),
    "z - h": Way(lambda h, z: z - h, 0),
    "rsub": Way(lambda h, z: torch.rsub(h, z), 1),  # z - h, with h as the first operand
    "lerp to z": Way(lambda h, z: torch.lerp(h, z, 0.3)),
    "lerp to h": Way(lambda h, z: torch.lerp(z, h, 0.3), 0),
    "lerp_": Way(lambda h, z: h.clone().lerp_(z, 0.3)),
    "addcmul": Way(lambda h, z: torch.addcmul(h, torch.full_like(z, 0.7), z, value=0.5)),
    "addcmul to z": Way(lambda h, z: torch.addcmul(z, h, _ones(h, h.shape[-1])), 0),
    "addcdiv": Way(lambda h, z: torch.addcdiv(h, z, torch.full_like(z, 2.0))),
    "stack, sum": Way(lambda h, z: torch.stack([h, z]).sum(0)),
    "stack at the end, mean": Way(lambda h, z: torch.stack([z, h], -1).mean(-1), 0),
    "cat, sum": Way(lambda h, z: torch.cat([h[None], z[None]]).sum(0)),
    "stack, scale, sum": Way(lambda h, z: (torch.stack([h, z], 2) * _ones(h, 2)[:, None]).sum(2)),
    "einsum over a stack": Way(lambda h, z: torch.einsum("kntd->ntd", torch.stack([h, z]))),
    "vmap": Way(lambda h, z: torch.vmap(torch.add)(h, z)),
    "index_add": Way(_index_add),
    "scatter_add": Way(lambda h, z: h.scatter_add(1, _places(z), z)),
    "flat": Way(lambda h, z: (h.reshape(-1, h.shape[-1]) + z.reshape(-1, h.shape[-1])).view(h.shape)),
    "transposed": Way(lambda h, z: (h.mT + z.mT).mT),
    "heads": Way(lambda h, z: (h.unflatten(-1, (2, -1)) + z.unflatten(-1, (2, -1))).flatten(-2)),
    "index_add, alpha": Way(lambda h, z: h.index_add(1, torch.arange(h.shape[1]), z, alpha=0.5)),
    "in place, alpha": Way(lambda h, z: h.clone().sub_(z, alpha=0.5)),
    "lerp by a parameter": Way(lambda h, z: torch.lerp(h, z, _parameter(h, 0.3))),
    "convex by a parameter": Way(lambda h, z: _convex(h, z)),
    "addcmul by a parameter": Way(lambda h, z: torch.addcmul(h, _parameter(h, 0.7), z)),
    "heads, stacked": Way(lambda h, z: torch.stack([y.unflatten(-1, (2, -1)) for y in (h, z)], 2).sum(2).flatten(-2)),
    # what replaces, or is no sum of two signals in one operation: counted or doubted
    "in a slice": Way(_in_a_slice, 1, "open"),
    "in a column": Way(_in_a_column, 1, "open"),
    "in a view": Way(lambda h, z: z.clone().view(z.shape).add_(h), 0, "open"),  # as of a Linear's (N, T, D)
    "index_put": Way(_index_put, 1, "open"),
    "where": Way(lambda h, z: torch.where(_mask(h), h, z), 1, "open"),
    "maximum": Way(torch.maximum, 1, "doubtful"),
    "logaddexp": Way(torch.logaddexp, 1, "doubtful"),
    "foreach": Way(lambda h, z: torch._foreach_add([h], [z])[0], 1, "open"),
    "ones @ stack": Way(lambda h, z: torch.stack([h, z], -1) @ _ones(h, 2), 1, "open"),
    "cumsum": Way(lambda h, z: torch.stack([h, z]).cumsum(0)[1], 1, "open"),
    "cat, chunk": Way(lambda h, z: sum(torch.cat([h, z], -1).chunk(2, -1)), 1, "open"),  # type: ignore[arg-type, return-value]
    "cat @ [1; 1]": Way(_matrix, 1, "open"),
    "complex": Way(lambda h, z: torch.view_as_real(torch.complex(h, z)).sum(-1), 1, "open"),
    "index_reduce": Way(
        lambda h, z: h.index_reduce(1, torch.arange(h.shape[1]), z, "mean", include_self=True), 1, "open"
    ),
    "scatter_reduce": Way(lambda h, z: h.scatter_reduce(1, _places(z), z, "sum"), 1, "open"),
    "pairs, avg_pool": Way(_fold, 1, "open"),
    "gated addcmul": Way(lambda h, z: torch.addcmul(h, torch.sigmoid(h), z), 1, "open"),
    "cat, unflatten, sum": Way(lambda h, z: torch.cat([h, z], -1).unflatten(-1, (2, h.shape[-1])).sum(-2), 1, "open"),
    "in a transpose": Way(lambda h, z: _in_a_transpose(h, z), 1, "open"),
    "parameters @ stack": Way(lambda h, z: torch.stack([h, z], -1) @ _parameter(h[0, 0, :2], 0.5), None, "free"),
    "1x1 convolution": Way(_convolved, None, "free"),
    "einsum, numbers": Way(lambda h, z: torch.einsum("kntd,k->ntd", torch.stack([h, z]), _ones(h, 2)), 1, "open"),
    "logsumexp": Way(lambda h, z: torch.stack([h, z]).logsumexp(0), 1, "doubtful"),
    "norm": Way(lambda h, z: torch.stack([h, z]).norm(dim=0), 1, "doubtful"),
    "hypot": Way(torch.hypot, 1, "doubtful"),
}


def _index(h: Tensor) -> Tensor:
    return torch.zeros(1, dtype=torch.long)


PICKS: dict[str, Callable[[Tensor], Tensor]] = {
    "slice": lambda h: h[:, :1],
    "select": lambda h: h[:, 0][:, None],
    "negative slice": lambda h: h[:, -h.shape[1] : 1 - h.shape[1]],
    "negative select": lambda h: h[:, -h.shape[1]][:, None],
    "split": lambda h: h.split([1, h.shape[1] - 1], 1)[0],
    "chunk": lambda h: h.chunk(h.shape[1], 1)[0],
    "unbind": lambda h: h.unbind(1)[0].unsqueeze(1),
    "narrow": lambda h: h.narrow(1, 0, 1),
    "index": lambda h: h[:, _index(h)],
    "index_select": lambda h: h.index_select(1, _index(h)),
    "gather": lambda h: h.gather(1, _index(h)[None, :, None].expand(len(h), 1, h.shape[2])),
    "mask": lambda h: h[:, torch.arange(h.shape[1]) < 1],
}
"""The first token, (N, 1, D)."""
