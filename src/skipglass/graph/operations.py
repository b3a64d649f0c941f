"""What each operation of the backward pass does to a signal: the one table that all folders ask.

An operation goes by the name of autograd's node without "Backward" and the number of the overload: "Add", "Addmm",
"NativeLayerNorm". One that is not in the table counts as a nonlinearity, so that an unknown one never makes a shortcut.
That the table is right is tested by asking the nodes themselves (tests/graph/test_operations.py): whether what a node
passes on depends on x, whether it works entry by entry, whether it is its own transpose.
"""

import functools
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

__all__ = [
    "CONTRACTIONS",
    "FUSED",
    "SELF_ADJOINT",
    "TABLE",
    "Contraction",
    "Operation",
    "contraction",
    "facts",
    "operation",
    "role",
]

Contraction = tuple[int, int, str]
"""(the operand that carries the signal, the operand that may be a weight, the name under which that one is saved)"""


@dataclass(frozen=True)
class Operation:
    """What is known of one operation.

    Attributes
    ----------
    role
        What it is to a single signal: "linear", "norm" (a normalisation), "nonlinear", or "opaque" where it may hold
        weights or other operations that the graph does not show.
    nonlinear_in
        Operands that it is not linear in, though it is in others: a divisor.
    factors
        Two groups of operands that multiply each other: a signal in each makes a product of signals.
    contracts
        For each operand that a weight may be contracted with: see `Contraction`.
    bias
        The operand that is added to a contraction.
    merges
        What two signals become that meet in it: "sum"; "difference"; "fused", a first operand plus a product, or a
        quotient, of the second and third; "overwritten", entries of one in place of the other's; "alike", something
        that may stand for a sum.
    entrywise
        It works entry by entry, after broadcasting.
    self_adjoint
        Its derivative by each operand is its own transpose, so that the node applies the derivative as well.
    piecewise_linear
        It is nonlinear, but linear on each of its pieces, without a constant of its own.
    homogeneous
        f(c z) = c f(z) for a positive factor c of each channel, by the first operand.
    picks
        It takes a piece of a signal.
    pools
        It works within each channel, the second dimension.
    resizes
        It changes the length of an axis and adds nothing up.
    sums
        It adds up entries along axes.
    views
        It gives the same entries another shape.
    reads
        How many of its operands are signals by their purpose; a bias or a mask may follow.
    spreads
        For each operand that is broadcast: (the operand it meets, the name under which that one is saved, or "").
    size
        It is what losses take the size of a difference with.
    convolves
        It is a convolution.
    over_samples
        It takes its statistics over samples (batch norm), unless they are fixed.
    hidden
        It swallows a whole piece of the network: what to do about it.
    """

    role: str = "nonlinear"
    nonlinear_in: frozenset[int] = frozenset()
    factors: tuple[frozenset[int], frozenset[int]] | None = None
    contracts: tuple[Contraction, ...] = ()
    bias: int | None = None
    merges: str = ""
    entrywise: bool = False
    self_adjoint: bool = False
    piecewise_linear: bool = False
    homogeneous: bool = False
    picks: bool = False
    pools: bool = False
    resizes: bool = False
    sums: bool = False
    views: bool = False
    reads: int | None = None
    spreads: dict[int, tuple[int, str]] = field(default_factory=dict)
    size: bool = False
    convolves: bool = False
    over_samples: bool = False
    hidden: str = ""


TABLE: dict[str, Operation] = {}


def _say(names: str, role: str = "nonlinear", **known: Any) -> None:
    """Write operations that are alike into the table, each once."""
    for name in names.split():
        if name in TABLE:
            raise KeyError(f"{name} stands in the table of operations already")
        TABLE[name] = Operation(role, **known)


def _product(first: Collection[int], second: Collection[int]) -> tuple[frozenset[int], frozenset[int]]:
    return frozenset(first), frozenset(second)


def _matrices(left: int, right: int, saved: str) -> dict[str, Any]:
    """A product of two operands, each of which may be a weight; where they are saved, the right one first."""
    of_right, of_left = saved.split()
    return {"contracts": ((left, right, of_right), (right, left, of_left)), "factors": _product([left], [right])}


# contractions of two operands, either of which may be the weight
_say("Mm Bmm", "linear", **_matrices(0, 1, "mat2 self"))
_say("GroupedMm", "linear", **_matrices(0, 1, "mat2 self"))
_say("Mv", "linear", **_matrices(0, 1, "vec self"))
_say("Dot", "linear", **_matrices(0, 1, "tensor self"))
_say("Vdot", "linear", **_matrices(0, 1, "other self"))
_say("Addmm SparseAddmm", "linear", merges="fused", bias=0, **_matrices(1, 2, "mat2 mat1"))
_say("Addmv", "linear", merges="fused", bias=0, **_matrices(1, 2, "vec mat"))
_say("Addbmm Baddbmm", "linear", merges="fused", bias=0, **_matrices(1, 2, "batch2 batch1"))

# contractions of a signal with a weight, and a bias that is added
WEIGHTED: dict[str, Any] = {"contracts": ((0, 1, "weight"),), "factors": _product([0], [1]), "bias": 2}
_say("Linear MkldnnLinear", "linear", **WEIGHTED)
_say(
    "Convolution ConvolutionOverrideable MkldnnConvolution CudnnConvolution MiopenConvolution MpsConvolution "
    "MiopenDepthwiseConvolution ConvDepthwise2D ConvDepthwise3D ConvTbc SlowConv2D SlowConv3D SlowConvDilated2D "
    "SlowConvDilated3D SlowConvTranspose2D SlowConvTranspose3D CudnnConvolutionTranspose MiopenConvolutionTranspose",
    "linear",
    convolves=True,
    **WEIGHTED,
)

# sums of signals, or with a constant
ENTRYWISE: dict[str, Any] = {"entrywise": True, "self_adjoint": True}
EITHER = {0: (1, ""), 1: (0, "")}
_say("Add", "linear", merges="sum", spreads=EITHER, **ENTRYWISE)
_say("Sub Rsub", "linear", merges="difference", spreads=EITHER, **ENTRYWISE)
_say("Lerp", "linear", merges="sum", factors=_product([0, 1], [2]), **ENTRYWISE)
_say("IndexAdd ScatterAdd", "linear", merges="sum")
_say("Addr", "linear", merges="fused", factors=_product([1], [2]))
_say(
    "Addcmul",
    "linear",
    merges="fused",
    factors=_product([1], [2]),
    spreads={1: (2, "tensor2"), 2: (1, "tensor1")},
    **ENTRYWISE,
)
_say("Addcdiv", "linear", merges="fused", nonlinear_in=frozenset({2}), spreads={1: (2, "tensor2")}, **ENTRYWISE)

# scales, and copies
_say(
    "Mul",
    "linear",
    factors=_product([0], [1]),
    spreads={0: (1, "other"), 1: (0, "self")},
    homogeneous=True,
    size=True,
    **ENTRYWISE,
)
_say("Div", "linear", nonlinear_in=frozenset({1}), spreads={0: (1, "other")}, homogeneous=True, **ENTRYWISE)
_say("Neg Clone", "linear", homogeneous=True, **ENTRYWISE)
_say("LazyClone Contiguous ToCopy Alias", "linear", homogeneous=True, entrywise=True)
_say("NegView Deg2Rad Rad2Deg Conj ConjPhysical MaskedFill FusedDropout", "linear", entrywise=True)
_say("NativeDropout", "linear", **ENTRYWISE)
_say(
    "Copy Detach Identity Lift LiftFresh PinMemory ToDense ToSparse ToMkldnn Complex ViewAsComplex ViewAsReal _DDPSink "
    "RegisterPostBackwardFunction",
    "linear",
)

# shapes and places
_say("View UnsafeView Reshape ReshapeAlias ReshapeCopy MkldnnReshape", "linear", views=True)
_say(
    "AsStrided Transpose T Permute Movedim Expand Repeat Squeeze Unsqueeze Unfold Im2Col Col2Im Roll Flip Rot90 "
    "Diagonal DiagEmbed Tril Triu BlockDiag ChannelShuffle PixelShuffle PixelUnshuffle SliceInverse IndexFill Embedding "
    "UnsafeMaskedIndex UnsafeMaskedIndexPutAccumulate ConstantPadNd ReflectionPad1D ReflectionPad2D "
    "ReflectionPad3D ReplicationPad1D ReplicationPad2D ReplicationPad3D",
    "linear",
)
_say("Cat Stack", "linear", resizes=True)
_say(
    "Select Slice Split SplitWithSizes UnsafeSplit UnsafeSplitWithSizes Unbind Chunk Index UnsafeIndex IndexSelect "
    "Gather Take MaskedSelect NarrowCopy",
    "linear",
    picks=True,
    resizes=True,
)
_say("Where", "linear", merges="overwritten", **ENTRYWISE)
_say(
    "IndexPut IndexPutImpl UnsafeIndexPut IndexCopy Scatter Put MaskedScatter SliceScatter SelectScatter "
    "DiagonalScatter AsStridedScatter",
    "linear",
    merges="overwritten",
)

# sums over axes, resampling, and what a fixed matrix does
_say("Sum Mean Nansum", "linear", sums=True)
_say("Cumsum Trace FftC2C FftC2R FftR2C", "linear")
_say(
    "AvgPool2D AvgPool3D AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D MkldnnAdaptiveAvgPool2D "
    "UpsampleNearest2D UpsampleBilinear2D UpsampleNearestExact2D",
    "linear",
    pools=True,
    homogeneous=True,
)
_say(
    "UpsampleLinear1D UpsampleNearest1D UpsampleNearest3D UpsampleNearestExact1D UpsampleNearestExact3D "
    "UpsampleBilinear2DAa UpsampleBicubic2D UpsampleBicubic2DAa UpsampleTrilinear3D",
    "linear",
)
_say("GridSampler2D GridSampler3D GridSampler2DCpuFallback", "linear", nonlinear_in=frozenset({1}))

# normalisations
_say("BatchNorm NativeBatchNorm CudnnBatchNorm MiopenBatchNorm SyncBatchNorm", "norm", over_samples=True)
_say("NativeLayerNorm LayerNorm FusedRmsNorm RmsNorm NativeGroupNorm GroupNorm InstanceNorm", "norm")

# nonlinearities
_say("Relu LeakyRelu", piecewise_linear=True, homogeneous=True, **ENTRYWISE)
_say("Abs", piecewise_linear=True, homogeneous=True, size=True, **ENTRYWISE)
_say("PreluKernel", piecewise_linear=True, homogeneous=True, entrywise=True)
_say(
    "MaxPool1D MaxPool2DWithIndices MaxPool3DWithIndices AdaptiveMaxPool2D",
    piecewise_linear=True,
    homogeneous=True,
    pools=True,
)
_say("Max Min Amax Amin Sort Topk", piecewise_linear=True)
_say("Maximum Minimum", piecewise_linear=True, merges="alike", **ENTRYWISE)
_say("Fmax Fmin", piecewise_linear=True, merges="alike", entrywise=True)
_say("Hypot Logaddexp Logaddexp2", merges="alike", entrywise=True)
_say("Atan2 Remainder Fmod Xlogy", entrywise=True)
_say("Pow", size=True, **ENTRYWISE)
_say("LinalgVectorNorm Norm", size=True)
_say(
    "Gelu Silu Mish Sigmoid Tanh Exp Log Sqrt Rsqrt Reciprocal Sin Cos Erf Softplus Elu Hardtanh Hardswish Hardsigmoid "
    "Clamp",
    **ENTRYWISE,
)
_say("Softmax SafeSoftmax", self_adjoint=True)  # symmetric: diag(s) - s sᵀ
_say("LogSoftmax Prod")
_say("Glu", resizes=True)
_say(
    "ScaledDotProductFlashAttention ScaledDotProductFlashAttentionForCpu ScaledDotProductEfficientAttention "
    "ScaledDotProductCudnnAttention ScaledDotProductFusedAttentionOverrideable",
    reads=3,  # queries, keys, values
)
_say(
    "ForeachAdd ForeachSub ForeachLerp ForeachAddcmul ForeachAddcdiv ForeachMaximum ForeachMinimum",
    merges="alike",
)

# what the graph does not show: weights, or a piece of the network
_say("CopySlices MkldnnRnnLayer CudnnRnn MiopenRnn ThnnFusedLstmCell ThnnFusedGruCell", "opaque")
_say("CompiledFunction", hidden="was compiled; measure the model without torch.compile")
_say(
    "CheckpointFunction",
    hidden="is a reentrant checkpoint; use torch.utils.checkpoint(..., use_reentrant=False)",
)

UNKNOWN = Operation()
PYTORCH_S_OWN = {"CompiledFunction", "CheckpointFunction", "SyncBatchNorm", "_DDPSink", "RegisterPostBackwardFunction"}
"""Custom functions that are understood, where PyTorch defines them."""

FUSED = frozenset(name for name, known in TABLE.items() if known.merges == "fused")
CONTRACTIONS = {name: known.contracts for name, known in TABLE.items() if known.contracts}
SELF_ADJOINT = frozenset(name for name, known in TABLE.items() if known.self_adjoint)


def facts(name: str) -> Operation:
    """Return what is known of an operation; of an unknown one, that it is a nonlinearity."""
    return TABLE.get(name, UNKNOWN)


def contraction(name: str, signals: Collection[int]) -> Contraction | None:
    """Return how an operation contracts the signals that enter by these operands with something that is no signal."""
    return next((way for way in facts(name).contracts if way[0] in signals and way[1] not in signals), None)


def role(name: str, signals: Collection[int]) -> str:
    """Say what an operation is to the signals that enter it by these operands.

    Returns
    -------
    str
        "linear"; "norm"; "product", of two or more signals; "nonlinear"; or "opaque". Weights are told apart by their
        operands, not here.
    """
    known = facts(name)
    if known.nonlinear_in.intersection(signals):
        return "nonlinear"
    if known.role == "norm" and len(signals) > 1:
        return "nonlinear"
    if known.factors is not None and all(group.intersection(signals) for group in known.factors):
        return "product"
    return known.role


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
