"""What each operation of the backward pass does to a signal: which contract it with weights, which keep it plain.

The names are those of autograd's nodes without "Backward" and the overload's number. An operation in none
of the tables counts as a nonlinearity, so that an unknown one never makes a shortcut.
"""

import re
from collections.abc import Sequence

from torch.autograd.graph import Node

__all__ = [
    "ADDITIONS",
    "CONTRACTIONS",
    "FUSED",
    "HIDDEN",
    "NORMALIZATIONS",
    "OPAQUE",
    "PICKS",
    "operation",
    "role",
]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# operation: for each operand that a weight may meet, (its edge, the edge of the other, where the other is saved)
CONTRACTIONS: dict[str, Sequence[tuple[int, int, str]]] = {
    "Mm": ((0, 1, "mat2"), (1, 0, "self")),
    "Bmm": ((0, 1, "mat2"), (1, 0, "self")),
    "Mv": ((0, 1, "vec"), (1, 0, "self")),
    "Dot": ((0, 1, "tensor"), (1, 0, "self")),
    "Addmm": ((1, 2, "mat2"), (2, 1, "mat1")),
    "Addmv": ((1, 2, "vec"), (2, 1, "mat")),
    "Addbmm": ((1, 2, "batch2"), (2, 1, "batch1")),
    "Baddbmm": ((1, 2, "batch2"), (2, 1, "batch1")),
    "Linear": ((0, 1, "weight"),),
    "MkldnnLinear": ((0, 1, "weight"),),
    "Convolution": ((0, 1, "weight"),),
    "ConvolutionOverrideable": ((0, 1, "weight"),),
    "MkldnnConvolution": ((0, 1, "weight"),),
    "CudnnConvolution": ((0, 1, "weight"),),
    "MiopenConvolution": ((0, 1, "weight"),),
    "SlowConv2D": ((0, 1, "weight"),),
    "ConvDepthwise2D": ((0, 1, "weight"),),
}

ADDITIONS = frozenset({"Add", "Sub", "Rsub"})
"""Sums of two signals that may be a residual merge."""

FUSED = frozenset({"Addmm", "Addmv", "Addbmm", "Baddbmm", "Addcmul"})
"""A first operand plus a product of the second and third."""

PICKS = _names("Select Slice Split SplitWithSizes UnsafeSplit Unbind Chunk Index IndexSelect Gather")
"""Operations that take a piece of a signal."""

NORMALIZATIONS = _names(
    "BatchNorm NativeBatchNorm CudnnBatchNorm MiopenBatchNorm NativeLayerNorm LayerNorm FusedRmsNorm RmsNorm "
    "NativeGroupNorm GroupNorm InstanceNorm"
)

LINEAR = _names(
    "Add Sub Rsub Neg Alias AsStrided View UnsafeView Reshape ReshapeAlias Transpose T Permute Expand Slice Cat Stack "
    "Split SplitWithSizes UnsafeSplit Unbind Chunk Select Squeeze Unsqueeze Clone Copy ToCopy Detach Mean Sum Repeat "
    "AvgPool1D AvgPool2D AvgPool3D MkldnnAdaptiveAvgPool2D AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D "
    "ConstantPadNd ReflectionPad1D ReflectionPad2D ReplicationPad1D ReplicationPad2D UpsampleNearest1D "
    "UpsampleNearest2D UpsampleBilinear2D UpsampleBicubic2D PixelShuffle PixelUnshuffle Roll Flip Index IndexSelect "
    "Gather Scatter ScatterAdd IndexAdd IndexPut NativeDropout MaskedFill Where Unfold Im2Col Col2Im Tril Triu "
    "Contiguous Cumsum Movedim Embedding Diagonal Identity Addmm Addmv Addbmm Baddbmm Addcmul Lerp"
)
# bilinear: linear while one factor alone carries the signal
BILINEAR = _names("Mul Mm Bmm Mv Dot Addmm Addmv Addbmm Baddbmm Addcmul Prod Linear Convolution")

HIDDEN = {
    "CompiledFunction": "was compiled; measure the model without torch.compile",
    "CheckpointFunction": "is a reentrant checkpoint; use torch.utils.checkpoint(..., use_reentrant=False)",
}
"""Operations that swallow a whole piece of the network, and what to do about it."""

OPAQUE = frozenset({"CopySlices", "MkldnnRnnLayer", "CudnnRnn", "MiopenRnn", "ThnnFusedLstmCell", "ThnnFusedGruCell"})
"""Operations that may hold several weights or another operation: what is inside is not counted."""


def operation(node: Node) -> str:
    """Return the operation's name: "Add" for AddBackward0, "CopySlices" for torch::autograd::CopySlices."""
    return re.sub(r"Backward\w*$", "", node.name().rsplit("::", 1)[-1])


def role(name: str, signals: set[int]) -> str:
    """Say what an operation is to the signals that enter it by the edges ``signals``.

    Returns
    -------
    str
        "linear"; "norm"; "product", of two or more signals; or "nonlinear". Weights are told apart by their
        operands, not here.
    """
    if name in NORMALIZATIONS:
        return "norm" if len(signals) == 1 else "nonlinear"
    if name == "Div":
        return "linear" if signals == {0} else "product"
    if name in FUSED:
        return "product" if {1, 2} <= signals else "linear"
    if name == "Lerp":
        return "product" if 2 in signals and len(signals) > 1 else "linear"
    if name in BILINEAR:
        return "linear" if len(signals) == 1 else "product"
    return "linear" if name in LINEAR else "nonlinear"
