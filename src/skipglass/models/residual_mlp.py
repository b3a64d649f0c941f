"""The paper's residual network (Eqs. 8 and 22), for one seed or for many seeds side by side.

    N_1 = R(W_1ᵀ x),    N_l = λ_l/σ_l R(W_lᵀ N_{l-1}) + N_{l-1},  l = 2..p,    R = ReLU.

Activations have the shape (*seeds, units, samples), so that one batched matrix product handles all seeds, and batch
norm treats seeds and units alike as channels. With one seed the leading axis is absent.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skipglass import check

__all__ = ["NORMALIZATIONS", "PLACEMENTS", "ResidualLayer", "ResidualMLP"]

NORMALIZATIONS = ("none", "batch", "paper")
PLACEMENTS = ("before", "after")
EPS, MOMENTUM = 1e-5, 0.1  # torch.nn.BatchNorm1d's defaults


class ResidualLayer(nn.Module):
    """One weight layer: matrix, ReLU, normalisation, and optionally the shortcut.

    Parameters
    ----------
    weight
        (*seeds, out, in), the initial Wᵀ.
    skip
        Whether the input is added to the output.
    normalization
        "none"; "batch", batch norm with a multiplier λ and a shift for each unit; or "paper" (Eq. 22), with one
        multiplier λ_l, σ_l the mean over units of the standard deviation over samples, and no centring.
    placement
        Whether the normalisation comes "before" or "after" (Eq. 22) the ReLU.
    """

    running_var: Tensor
    running_mean: Tensor

    def __init__(self, weight: Tensor, *, skip: bool, normalization: str, placement: str) -> None:
        super().__init__()
        *seeds, out, _ = weight.shape
        self.skip, self.normalization, self.placement = skip, normalization, placement
        self.weight = nn.Parameter(weight)
        self.momentum = MOMENTUM
        if normalization != "none":
            units = (out,) if normalization == "batch" else ()
            self.multiplier = nn.Parameter(weight.new_ones((*seeds, *units)))
            self.register_buffer("running_var", weight.new_ones((*seeds, *units)))
        if normalization == "batch":
            self.shift = nn.Parameter(weight.new_zeros(*seeds, out))
            self.register_buffer("running_mean", weight.new_zeros(*seeds, out))

    def forward(self, h: Tensor) -> Tensor:
        """Map activations (*seeds, in, samples) to (*seeds, out, samples)."""
        branch = _product(self.weight, h)
        if self.placement == "before":
            branch = F.relu(self.normalize(branch))
        else:
            branch = self.normalize(F.relu(branch))
        return branch + h if self.skip else branch

    def normalize(self, z: Tensor) -> Tensor:
        """Apply this layer's normalisation to (*seeds, units, samples)."""
        if self.normalization == "none":
            return z
        if self.normalization == "batch":
            # All seeds' units are the channels of one call. flatten() gives views, so the buffers are updated.
            mean, var = self.running_mean.flatten(), self.running_var.flatten()
            gain, shift = self.multiplier.flatten(), self.shift.flatten()
            channels = z.view(1, -1, z.shape[-1])
            return F.batch_norm(channels, mean, var, gain, shift, self.training, self.momentum, EPS).view(z.shape)
        # The paper's normalisation: one σ for the whole layer, of this batch in training and the running one in eval.
        if self.training:
            sigma = _deviations(z).mean(dim=-1)
            with torch.no_grad():
                self.running_var.lerp_(sigma.square(), self.momentum)
        else:
            sigma = self.running_var.sqrt()
        return (self.multiplier / (sigma + EPS))[..., None, None] * z

    @property
    def sigma(self) -> Tensor:
        """The running standard deviation, (*seeds, out) for batch norm, (*seeds,) for the paper's."""
        return (self.running_var + EPS).sqrt() if self.normalization == "batch" else self.running_var.sqrt() + EPS


def _product(weight: Tensor, h: Tensor) -> Tensor:
    """W h. For many seeds bmm saves an eighth to a quarter of a training step, as matmul expands and reshapes first."""
    batched = weight.ndim == h.ndim == 3 and len(weight) == len(h)
    return torch.bmm(weight, h) if batched else weight @ h


def _deviations(z: Tensor) -> Tensor:
    """Standard deviation of each unit over samples, with zero derivatives of all orders for a dead unit.

    The derivatives of the root at 0 are infinite, so dead units are taken out of the graph.
    """
    variance = z.var(dim=-1)
    dead = variance == 0
    return variance.masked_fill(dead, 1.0).sqrt().masked_fill(dead, 0.0)


class ResidualMLP(nn.Module):
    """The paper's fully connected residual network of depth p and width n, for one seed or many.

    Parameters
    ----------
    in_features
        d, the dimension of the input.
    out_features
        Number of outputs of a last linear layer; None gives the paper's scalar output, the sum of the last
        layer's units.
    depth
        p, the number of weight layers; the first has no shortcut.
    width
        n, the number of units in each layer.
    normalization, placement
        See `ResidualLayer`.
    scale
        C, the standard deviation of the initial weights; None takes 1/√fan_in for each layer (C = 1/√n).
    seeds
        An int makes one network. A sequence of S ints makes S networks along a leading axis of every
        parameter, each with the same initial weights as a single network with that seed.
    dtype
        Type of the parameters.

    Raises
    ------
    InputError
        If a size is below 1, the scale is not positive, or a name is unknown.

    Examples
    --------
    >>> model = ResidualMLP(50, 10, depth=10, width=20)
    >>> model(torch.zeros(4, 50)).shape
    torch.Size([4, 10])
    >>> ResidualMLP(50, 10, seeds=range(16))(torch.zeros(4, 50)).shape
    torch.Size([16, 4, 10])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int | None = None,
        *,
        depth: int = 10,
        width: int = 20,
        normalization: str = "none",
        placement: str = "after",
        scale: float | None = None,
        seeds: int | Sequence[int] = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        n, p = check.integer("width", width, 1), check.integer("depth", depth, 1)
        check.choice("normalization", normalization, NORMALIZATIONS)
        check.choice("placement", placement, PLACEMENTS)
        shapes = [(n, check.integer("in_features", in_features, 1))] + [(n, n)] * (p - 1)
        if out_features is not None:
            shapes.append((check.integer("out_features", out_features, 1), n))
        C = None if scale is None else check.real("scale", scale, 0.0, above=True)
        single = isinstance(seeds, int)
        # Each seed draws its own weights; with several, those of one layer are stacked along a leading axis.
        drawn = [_draw(shapes, C, seed) for seed in check.seeds([seeds] if single else seeds)]
        weights = [(layer[0] if single else torch.stack(layer)).to(dtype) for layer in zip(*drawn, strict=True)]
        self.layers = nn.ModuleList(
            ResidualLayer(w, skip=l > 0, normalization=normalization, placement=placement)
            for l, w in enumerate(weights[:p])
        )
        self.head = Head(weights[p]) if out_features is not None else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, d), or (S, N, d) with seeds, to (N, out) or (S, N, out); headless to (N,) or (S, N)."""
        h = x.mT
        for layer in self.layers:
            h = layer(h)
        return h.sum(dim=-2) if self.head is None else self.head(h).mT

    def calibrate(self, x: Tensor) -> None:
        """Set every running statistic to that of the batch ``x``."""
        training = self.training
        layers = [layer for layer in self.layers if isinstance(layer, ResidualLayer)]
        for layer in layers:
            layer.momentum = 1.0  # the statistics of the next batch replace the old ones
        with torch.no_grad():
            self.train()(x)
        for layer in layers:
            layer.momentum = MOMENTUM
        self.train(training)


class Head(nn.Module):
    """The last linear layer: (*seeds, units, samples) to (*seeds, classes, samples)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(weight.new_zeros(*weight.shape[:-1], 1))

    def forward(self, h: Tensor) -> Tensor:
        """Return the logits."""
        return _product(self.weight, h) + self.bias


def _draw(shapes: list[tuple[int, int]], scale: float | None, seed: int) -> list[Tensor]:
    """Draw the initial weights of one seed in double precision, so that they are the same in every precision."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64) * (scale or 1 / math.sqrt(shape[1]))
        for shape in shapes
    ]
