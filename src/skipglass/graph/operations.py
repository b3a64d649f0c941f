"""What each operation of the backward pass does to a signal: which contract it with weights, which keep it plain.

The names are those of autograd's nodes without "Backward" and the overload's number. An operation in none
of the tables counts as a nonlinearity, so that an unknown one never makes a shortcut.
"""

import functools
import re
from collections.abc import Sequence

from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

__all__ = [
    "ADDITIONS",
    "ALIKE",
    "CONTRACTIONS",
    "ELEMENTWISE",
    "FUSED",
    "HIDDEN",
    "NORMALIZATIONS",
    "OPAQUE",
    "OVERWRITES",
    "PICKS",
    "SELF_ADJOINT",
    "SUBTRACTIONS",
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
    "Vdot": ((0, 1, "other"), (1, 0, "self")),
    "Addmm": ((1, 2, "mat2"), (2, 1, "mat1")),
    "SparseAddmm": ((1, 2, "mat2"), (2, 1, "mat1")),
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
    "ConvDepthwise3D": ((0, 1, "weight"),),
    "ConvTbc": ((0, 1, "weight"),),
    "SlowConv3D": ((0, 1, "weight"),),
    "SlowConvDilated2D": ((0, 1, "weight"),),
    "SlowConvDilated3D": ((0, 1, "weight"),),
    "SlowConvTranspose2D": ((0, 1, "weight"),),
    "SlowConvTranspose3D": ((0, 1, "weight"),),
    "CudnnConvolutionTranspose": ((0, 1, "weight"),),
    "MiopenConvolutionTranspose": ((0, 1, "weight"),),
    "MiopenDepthwiseConvolution": ((0, 1, "weight"),),
    "MpsConvolution": ((0, 1, "weight"),),
    "GroupedMm": ((0, 1, "mat2"), (1, 0, "self")),
}

SUBTRACTIONS = frozenset({"Sub", "Rsub"})

ADDITIONS = SUBTRACTIONS | {"Add", "Lerp", "IndexAdd", "ScatterAdd"}
"""Sums of two signals that may be a residual merge; the weight of a Lerp is a product unless it is no signal."""

OVERWRITES = frozenset(
    {"Where", "IndexPut", "IndexPutImpl", "UnsafeIndexPut", "IndexCopy", "Scatter", "Put", "MaskedScatter"}
    | {"SliceScatter", "SelectScatter", "DiagonalScatter", "AsStridedScatter"}
)
"""Entries of one signal in place of another's: that there is a shortcut is a matter of view."""

ALIKE = frozenset({"Maximum", "Minimum", "Fmax", "Fmin", "Logaddexp", "Logaddexp2", "Hypot"}) | frozenset(
    f"Foreach{what}" for what in ("Add", "Sub", "Lerp", "Addcmul", "Addcdiv", "Maximum", "Minimum")
)
"""What may stand for a sum of two signals, or holds several: whether there is a shortcut is not decided."""

FUSED = frozenset({"Addmm", "Addmv", "Addbmm", "Baddbmm", "SparseAddmm", "Addr", "Addcmul", "Addcdiv"})
"""A first operand plus a product, or a quotient, of the second and third."""

PICKS = _names(
    "Select Slice Split SplitWithSizes UnsafeSplit UnsafeSplitWithSizes Unbind Chunk Index UnsafeIndex IndexSelect "
    "Gather Take MaskedSelect NarrowCopy"
)
"""Operations that take a piece of a signal."""

NORMALIZATIONS = _names(
    "BatchNorm NativeBatchNorm CudnnBatchNorm MiopenBatchNorm NativeLayerNorm LayerNorm FusedRmsNorm RmsNorm "
    "NativeGroupNorm GroupNorm InstanceNorm SyncBatchNorm"
)

LINEAR = PICKS | _names(
    "Add Sub Rsub Neg NegView Lerp Sum Nansum Mean Cumsum Trace Deg2Rad Rad2Deg "
    # shapes and places
    "Alias AsStrided AsStridedScatter View UnsafeView Reshape ReshapeAlias ReshapeCopy MkldnnReshape Transpose T "
    "Permute Movedim Expand Repeat Squeeze Unsqueeze Unfold Im2Col Col2Im Roll Flip Rot90 Diagonal DiagEmbed "
    "DiagonalScatter Tril Triu Cat Stack BlockDiag ChannelShuffle PixelShuffle PixelUnshuffle SelectScatter "
    "SliceScatter SliceInverse Scatter ScatterAdd IndexAdd IndexCopy IndexFill IndexPut IndexPutImpl UnsafeIndexPut "
    "UnsafeMaskedIndex UnsafeMaskedIndexPutAccumulate Put MaskedFill MaskedScatter Where Embedding ConstantPadNd "
    "ReflectionPad1D ReflectionPad2D ReflectionPad3D ReplicationPad1D ReplicationPad2D ReplicationPad3D "
    # copies and types
    "Clone LazyClone Contiguous Copy ToCopy Detach Identity Lift LiftFresh PinMemory ToDense ToSparse ToMkldnn "
    "Complex Conj ConjPhysical ViewAsComplex ViewAsReal "
    # resampling, and what a fixed matrix does
    "AvgPool2D AvgPool3D MkldnnAdaptiveAvgPool2D AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D "
    "UpsampleLinear1D UpsampleNearest1D UpsampleNearest2D UpsampleNearest3D UpsampleNearestExact1D "
    "UpsampleNearestExact2D UpsampleNearestExact3D UpsampleBilinear2D UpsampleBilinear2DAa UpsampleBicubic2D "
    "UpsampleBicubic2DAa UpsampleTrilinear3D FftC2C FftC2R FftR2C NativeDropout FusedDropout "
    "_DDPSink RegisterPostBackwardFunction"
)
# bilinear: linear while one factor alone carries the signal
BILINEAR = _names("Mul Dot Vdot Prod") | frozenset(CONTRACTIONS)

SELF_ADJOINT = _names(
    # entry by entry, after broadcasting
    "Add Sub Rsub Neg Mul Div Addcmul Addcdiv Lerp Pow Where Maximum Minimum Clone NativeDropout Relu Gelu Silu Mish "
    "Sigmoid Tanh Exp Log Sqrt Rsqrt Reciprocal Abs Sin Cos Erf Softplus LeakyRelu Elu Hardtanh Hardswish "
    "Hardsigmoid Clamp "
    # symmetric: diag(s) - s sᵀ
    "Softmax SafeSoftmax"
)
"""Operations whose derivative by each operand is its own transpose."""

HIDDEN = {
    "CompiledFunction": "was compiled; measure the model without torch.compile",
    "CheckpointFunction": "is a reentrant checkpoint; use torch.utils.checkpoint(..., use_reentrant=False)",
}
"""Operations that swallow a whole piece of the network, and what to do about it."""

PYTORCH_S_OWN = {*HIDDEN, "SyncBatchNorm", "_DDPSink", "RegisterPostBackwardFunction"}
"""Custom functions that are understood, where PyTorch defines them; the last two change nothing."""

OPAQUE = frozenset({"CopySlices", "MkldnnRnnLayer", "CudnnRnn", "MiopenRnn", "ThnnFusedLstmCell", "ThnnFusedGruCell"})
"""Operations that may hold several weights or another operation: what is inside is not counted."""

ELEMENTWISE = _names(
    "PreluKernel Pow Maximum Minimum Fmax Fmin Atan2 Hypot Logaddexp Logaddexp2 Remainder Fmod Xlogy Cdiv"
)
"""Nonlinearities that meet a parameter entry by entry: no weight is inside."""


def operation(node: Node) -> str:
    """Return the operation's name: "Add" for AddBackward0, "CopySlices" for torch::autograd::CopySlices.

    A custom function has "custom " before its own name, which may be that of another operation.
    """
    name = node.name()
    if isinstance(node, BackwardCFunction):
        own = getattr(type(node), "_forward_cls", type(node)).__module__.startswith("torch.")
        return _short(name) if own and _short(name) in PYTORCH_S_OWN else f"custom {_short(name)}"
    return f"custom {_short(name).rstrip('>')}" if "CppNode" in name else _short(name)


@functools.cache
def _short(name: str) -> str:
    return re.sub(r"Backward\w*$", "", name.rsplit("::", 1)[-1])


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
        return "product" if {1, 2} <= signals or (name == "Addcdiv" and 2 in signals) else "linear"
    if name == "Lerp":
        return "product" if 2 in signals and len(signals) > 1 else "linear"
    if name.startswith("GridSampler"):
        return "linear" if signals == {0} else "nonlinear"
    if name in BILINEAR:
        return "linear" if len(signals) == 1 else "product"
    return "linear" if name in LINEAR else "nonlinear"
