"""What each operation of the backward pass does to a signal: the one table that all folders ask.

An operation goes by the name of autograd's node without its last "Backward" and the number of the overload: "Add",
"Addmm", "NativeLayerNorm". "TanhBackward" is what computes the gradient of a Tanh: it stands in the graph of a loss
that holds gradients (gradient penalties, forces). An operation that is not in the table counts as a nonlinearity, so
that an unknown one never makes a shortcut; where it would be one if it were plain, or a sum if it were one, that is
said to be doubtful. What a custom function does is told by `skipglass.register`.
That the table is right is tested by asking the nodes themselves (tests/graph/test_operations.py): whether what a node
passes on depends on x, whether it works entry by entry, whether it is its own transpose.
"""

import functools
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

__all__ = [
    "CONTRACTIONS",
    "FUSED",
    "REGISTERED",
    "SELF_ADJOINT",
    "TABLE",
    "Contraction",
    "Operation",
    "contraction",
    "facts",
    "foreign",
    "operation",
    "own_name",
    "role",
]

Contraction = tuple[int, int, str]
"""(the operand that carries the signal, the operand that may be a weight, the name under which that one is saved)"""
Factors = tuple[frozenset[int], frozenset[int]]
Part = tuple[str, Collection[int]]
"""(the name under which the table has one output of an operation, the operands that this output depends on)"""


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
    joins
        It puts signals side by side, along the axis that is saved.
    along
        It works along the axes that are saved, and gives entry for entry along all others.
    transforms
        It is a Fourier transform, or a sum of all entries up to each.
    largest
        It gives the largest, or smallest, entries, and changes none: a maximum over windows or along axes.
    pools
        It works within each channel, the second dimension.
    resizes
        It changes the length of an axis and adds nothing up.
    sums
        It adds up entries along axes.
    views
        It gives the same entries another shape.
    permutes
        It gives the same entries with the axes in another order.
    copies
        It gives the same entries, perhaps of another type.
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
    parts
        For an operation whose outputs depend on different operands: what it is to each of them, by number.
    hidden
        It swallows a whole piece of the network: what to do about it.
    refused
        The same, where nothing can be measured through it.
    """

    role: str = "nonlinear"
    nonlinear_in: Collection[int] = ()
    factors: Factors | None = None
    contracts: tuple[Contraction, ...] = ()
    bias: int | None = None
    merges: str = ""
    entrywise: bool = False
    self_adjoint: bool = False
    piecewise_linear: bool = False
    homogeneous: bool = False
    picks: bool = False
    joins: bool = False
    along: bool = False
    transforms: bool = False
    largest: bool = False
    pools: bool = False
    resizes: bool = False
    sums: bool = False
    views: bool = False
    permutes: bool = False
    copies: bool = False
    reads: int | None = None
    spreads: dict[int, tuple[int, str]] = field(default_factory=dict)
    size: bool = False
    convolves: bool = False
    over_samples: bool = False
    parts: Callable[[int], Part] | None = None
    hidden: str = ""
    refused: str = ""


TABLE: dict[str, Operation] = {}


def _say(what: str, names: str, **known: Any) -> None:
    """Write operations that are alike into the table: their role and what is true of them, and each name once."""
    role, *true = what.split()
    for name in names.split():
        assert name not in TABLE, f"{name} stands in the table of operations already"
        TABLE[name] = Operation(role, **(known | dict.fromkeys(true, True)))


def _product(first: Collection[int], second: Collection[int]) -> Factors:
    return frozenset(first), frozenset(second)


def _matrices(left: int, right: int, saved_right: str, saved_left: str) -> dict[str, Any]:
    """A product of two operands, each of which may be a weight, and where they are saved."""
    contracts = ((left, right, saved_right), (right, left, saved_left))
    return {"contracts": contracts, "factors": _product([left], [right])}


# contractions of two operands, either of which may be the weight
_say("linear", "Mm Bmm GroupedMm", **_matrices(0, 1, "mat2", "self"))
_say("linear", "Mv", **_matrices(0, 1, "vec", "self"))
_say("linear", "Dot", **_matrices(0, 1, "tensor", "self"))
_say("linear", "Vdot", **_matrices(0, 1, "other", "self"))
_say("linear", "Addmm SparseAddmm", merges="fused", bias=0, **_matrices(1, 2, "mat2", "mat1"))
_say("linear", "Addmv", merges="fused", bias=0, **_matrices(1, 2, "vec", "mat"))
_say("linear", "Addbmm Baddbmm", merges="fused", bias=0, **_matrices(1, 2, "batch2", "batch1"))

# A⁻¹ b, a product of two signals; by A it is no linear map
_say("linear", "LinalgSolveTriangular TriangularSolve LinalgSolveEx", nonlinear_in={0})

# contractions of a signal with a weight, and a bias that is added
WEIGHTED: dict[str, Any] = {"contracts": ((0, 1, "weight"),), "factors": _product([0], [1]), "bias": 2}
_say("linear", "Linear MkldnnLinear", **WEIGHTED)
_say(
    "linear convolves",
    "Convolution ConvolutionOverrideable MkldnnConvolution CudnnConvolution MiopenConvolution MpsConvolution "
    "MiopenDepthwiseConvolution ConvDepthwise2D ConvDepthwise3D ConvTbc SlowConv2D SlowConv3D SlowConvDilated2D "
    "SlowConvDilated3D SlowConvTranspose2D SlowConvTranspose3D CudnnConvolutionTranspose MiopenConvolutionTranspose",
    **WEIGHTED,
)

# sums of signals, or with a constant
EITHER = {0: (1, ""), 1: (0, "")}
_say("linear entrywise self_adjoint", "Add", merges="sum", spreads=EITHER)
_say("linear entrywise self_adjoint", "Sub Rsub", merges="difference", spreads=EITHER)
_say("linear entrywise self_adjoint", "Lerp", merges="sum", factors=_product([0, 1], [2]))
_say("linear", "IndexAdd ScatterAdd IndexReduce ScatterReduce", merges="sum")  # the last two: of a sum or a mean
_say("linear", "Addr", merges="fused", factors=_product([1], [2]))
SECOND_AND_THIRD = {1: (2, "tensor2"), 2: (1, "tensor1")}
_say("linear entrywise self_adjoint", "Addcmul", merges="fused", factors=_product([1], [2]), spreads=SECOND_AND_THIRD)
_say("linear entrywise self_adjoint", "Addcdiv", merges="fused", nonlinear_in={2}, spreads={1: (2, "tensor2")})

# scales, and copies
SCALED = {0: (1, "other"), 1: (0, "self")}
_say("linear entrywise self_adjoint homogeneous size", "Mul", factors=_product([0], [1]), spreads=SCALED)
_say("linear entrywise self_adjoint homogeneous", "Div", nonlinear_in={1}, spreads={0: (1, "other")})
_say("linear entrywise self_adjoint homogeneous", "Neg")
_say("linear entrywise self_adjoint homogeneous copies", "Clone")
_say("linear entrywise homogeneous copies", "LazyClone Contiguous ToCopy Alias")
_say("linear entrywise self_adjoint", "NativeDropout")
_say("linear entrywise", "NegView Deg2Rad Rad2Deg Conj ConjPhysical MaskedFill FusedDropout")
_say(
    "linear",
    "Copy Detach Identity Lift LiftFresh PinMemory ToDense ToSparse ToMkldnn Complex ViewAsComplex ViewAsReal",
)

# shapes and places
_say("linear views", "View UnsafeView Reshape ReshapeAlias ReshapeCopy MkldnnReshape")
_say("linear permutes", "T Transpose Permute")
_say("linear along", "Expand Squeeze Unsqueeze Flip Roll")
_say(
    "linear",
    "AsStrided Movedim Repeat Unfold Im2Col Col2Im Rot90 MaxUnpool2D MaxUnpool3D "
    "Diagonal DiagEmbed Tril Triu BlockDiag ChannelShuffle PixelShuffle PixelUnshuffle SliceInverse IndexFill "
    "Embedding UnsafeMaskedIndex UnsafeMaskedIndexPutAccumulate ConstantPadNd ReflectionPad1D ReflectionPad2D "
    "ReflectionPad3D ReplicationPad1D ReplicationPad2D ReplicationPad3D",
)
_say("linear resizes joins", "Cat Stack")
_say(
    "linear picks resizes",
    "Select Slice Split SplitWithSizes UnsafeSplit UnsafeSplitWithSizes Unbind Chunk Index UnsafeIndex IndexSelect "
    "Gather Take MaskedSelect NarrowCopy",
)
_say("linear entrywise self_adjoint", "Where", merges="overwritten")
_say(
    "linear",
    "IndexPut IndexPutImpl UnsafeIndexPut IndexCopy Scatter Put MaskedScatter SliceScatter SelectScatter "
    "DiagonalScatter AsStridedScatter",
    merges="overwritten",
)

# sums over axes, resampling, and what a fixed matrix does
_say("linear sums", "Sum Mean Nansum")
_say("linear along transforms", "Cumsum FftC2C FftC2R FftR2C")
_say("linear", "Trace")
_say(
    "linear pools homogeneous",
    "AvgPool2D AvgPool3D AdaptiveAvgPool1D AdaptiveAvgPool2D AdaptiveAvgPool3D MkldnnAdaptiveAvgPool2D "
    "UpsampleNearest2D UpsampleBilinear2D UpsampleNearestExact2D",
)
_say(
    "linear",
    "UpsampleLinear1D UpsampleNearest1D UpsampleNearest3D UpsampleNearestExact1D UpsampleNearestExact3D "
    "UpsampleBilinear2DAa UpsampleBicubic2D UpsampleBicubic2DAa UpsampleTrilinear3D",
)
_say("linear", "GridSampler2D GridSampler3D GridSampler2DCpuFallback", nonlinear_in={1})

# normalisations
_say("norm over_samples", "BatchNorm NativeBatchNorm CudnnBatchNorm MiopenBatchNorm SyncBatchNorm")
_say("norm", "NativeLayerNorm LayerNorm FusedRmsNorm RmsNorm NativeGroupNorm GroupNorm InstanceNorm")

# nonlinearities
_say("nonlinear piecewise_linear homogeneous entrywise self_adjoint", "Relu LeakyRelu")
_say("nonlinear piecewise_linear homogeneous entrywise self_adjoint size", "Abs")
_say("nonlinear piecewise_linear homogeneous entrywise", "PreluKernel")
_say(
    "nonlinear piecewise_linear homogeneous pools largest",
    "MaxPool1D MaxPool2D MaxPool2DWithIndices MaxPool3DWithIndices MkldnnMaxPool2D MkldnnMaxPool3D AdaptiveMaxPool2D "
    "AdaptiveMaxPool3D FractionalMaxPool2D FractionalMaxPool3D",
)
_say("nonlinear piecewise_linear along largest", "Max Min Amax Amin")
_say("nonlinear piecewise_linear along", "Sort Topk")
_say("nonlinear piecewise_linear entrywise self_adjoint", "Maximum Minimum", merges="alike")
_say("nonlinear piecewise_linear entrywise", "Fmax Fmin", merges="alike")
_say("nonlinear entrywise", "Hypot Logaddexp Logaddexp2", merges="alike")
_say("nonlinear entrywise", "Atan2 Remainder Fmod Xlogy")
_say("nonlinear entrywise self_adjoint size", "Pow")
_say(
    "nonlinear entrywise self_adjoint",
    "Gelu Silu Mish Sigmoid Tanh Exp Log Sqrt Rsqrt Reciprocal Sin Cos Erf Softplus Elu Hardtanh Hardswish Hardsigmoid "
    "Clamp",
)
_say("nonlinear size along", "LinalgVectorNorm Norm")
_say("nonlinear self_adjoint along", "Softmax SafeSoftmax")  # symmetric: diag(s) - s sᵀ
_say("nonlinear resizes along", "Glu")
_say("nonlinear along", "LogSoftmax Prod")
_say(
    "nonlinear",
    "ScaledDotProductFlashAttention ScaledDotProductFlashAttentionForCpu ScaledDotProductEfficientAttention "
    "ScaledDotProductCudnnAttention ScaledDotProductFusedAttentionOverrideable",
    reads=3,  # queries, keys, values
)
FOREACH = "ForeachAdd ForeachSub ForeachLerp ForeachAddcmul ForeachAddcdiv ForeachMaximum ForeachMinimum"
_say("nonlinear", FOREACH, merges="alike")

# gradients of operations: the first operand is the gradient that entered, which each is linear in
GRADIENT = frozenset({0})
_say(
    "linear entrywise self_adjoint",
    "TanhBackward SigmoidBackward EluBackward GeluBackward HardswishBackward SoftplusBackward LogSigmoidBackward",
    nonlinear_in={1},
)
_say("linear", "SoftmaxBackwardData LogSoftmaxBackwardData GluBackward", nonlinear_in={1})
_say("linear", "NativeLayerNormBackward", nonlinear_in={1, 2, 3, 4})
_say("linear over_samples", "NativeBatchNormBackward", nonlinear_in={1, 2})
LOSSES = "MseLossBackward SmoothL1LossBackward HuberLossBackward SoftMarginLossBackward BinaryCrossEntropyBackward"
_say("linear", LOSSES, nonlinear_in={1, 2})


def _by_the_first(name: str) -> Callable[[int], Part]:
    return lambda _output: (name, GRADIENT)


SAME_SLOPES = (
    "LeakyReluBackward ThresholdBackward HardtanhBackward HardshrinkBackward SoftshrinkBackward "
    "RreluWithNoiseBackward NativeDropoutBackward"
)
"""Gradients of what is linear on each of its pieces: they depend on the signal that entered by the piece alone."""
for own in SAME_SLOPES.split():
    _say("linear entrywise self_adjoint", own, parts=_by_the_first(own))
SAME_PLACES = (
    "SelectBackward SliceBackward DiagonalBackward UnfoldBackward EmbeddingDenseBackward NllLossBackward "
    "NllLoss2DBackward AvgPool2DBackward AvgPool3DBackward AdaptiveAvgPool2DBackward AdaptiveAvgPool3DBackward "
    "MaxPool2DBackward MaxPool2DWithIndicesBackward MaxPool3DWithIndicesBackward AdaptiveMaxPool2DBackward "
    "AdaptiveMaxPool3DBackward FractionalMaxPool2DBackward FractionalMaxPool3DBackward ReflectionPad1DBackward "
    "ReflectionPad2DBackward ReflectionPad3DBackward ReplicationPad1DBackward ReplicationPad2DBackward "
    "ReplicationPad3DBackward UpsampleNearest1DBackward UpsampleNearest2DBackward UpsampleNearest3DBackward "
    "UpsampleNearestExact1DBackward UpsampleNearestExact2DBackward UpsampleNearestExact3DBackward "
    "UpsampleLinear1DBackward UpsampleBilinear2DBackward UpsampleBilinear2DAaBackward UpsampleBicubic2DBackward "
    "UpsampleBicubic2DAaBackward UpsampleTrilinear3DBackward"
)
for own in SAME_PLACES.split():
    _say("linear", own, parts=_by_the_first(own))
# of a convolution: the gradients of its input (a contraction with the weight), its weight and its bias
CONVOLUTION_S: tuple[Part, ...] = (
    ("ConvolutionBackward", {0, 2}),
    ("ConvolutionBackwardWeight", {0, 1}),
    ("ConvolutionBackwardBias", {0}),
)
_say(
    "linear",
    "ConvolutionBackward",
    contracts=((0, 2, "weight"), (2, 0, "grad_output")),
    factors=_product([0], [2]),
    parts=CONVOLUTION_S.__getitem__,
)
_say("linear", "ConvolutionBackwardWeight", **_matrices(0, 1, "input", "grad_output"))
_say("linear sums", "ConvolutionBackwardBias")

# PyTorch's own custom functions that pass on what they are given, each tensor by itself
IDENTITIES = "BackwardHookFunction _DDPSink RegisterPostBackwardFunction _FromTorchTensor _ToTorchTensor"
for own in IDENTITIES.split():
    _say("linear", own, parts=lambda output, own=own: (own, {output}))

_say("linear", "Redistribute")  # the same tensor, spread over processes in another way

# what the graph does not show: weights, or a piece of the network
_say("opaque", "CopySlices MkldnnRnnLayer CudnnRnn MiopenRnn ThnnFusedLstmCell ThnnFusedGruCell")
_say("opaque", "CompiledFunction", merges="alike", hidden="was compiled; measure the model without torch.compile")
SCRIPTED = "is a scripted function; measure the eager version"
_say("opaque", "DifferentiableGraph", merges="alike", hidden=SCRIPTED)
CHECKPOINT = "is a reentrant checkpoint; use torch.utils.checkpoint(..., use_reentrant=False)"
_say("nonlinear", "CheckpointFunction", refused=CHECKPOINT)

UNKNOWN = Operation()
UNKNOWN_GRADIENT = Operation("opaque")
PYTORCH_S_OWN = {"CompiledFunction", "CheckpointFunction", "SyncBatchNorm", "Redistribute", *IDENTITIES.split()}
"""Custom functions that are understood, where PyTorch defines them."""

REGISTERED: dict[type | str, str] = {}
"""Custom functions that the user has told of, by class or name → their names in the table."""

FUSED = frozenset(name for name, known in TABLE.items() if known.merges == "fused")
CONTRACTIONS = {name: known.contracts for name, known in TABLE.items() if known.contracts}
SELF_ADJOINT = frozenset(name for name, known in TABLE.items() if known.self_adjoint)


def facts(name: str) -> Operation:
    """Return what is known of an operation; of an unknown one, that it is a nonlinearity, of a gradient, opaque."""
    if (known := TABLE.get(name)) is not None:
        return known
    return UNKNOWN_GRADIENT if "Backward" in name and not name.startswith("custom ") else UNKNOWN


def contraction(name: str, signals: Collection[int]) -> Contraction | None:
    """Return how an operation contracts the signals that enter by these operands with something that is no signal."""
    known = facts(name)
    if known.role == "weight" and len(signals) == 1:  # a custom function: its first other operand is the weight
        (signal,) = signals
        return signal, int(signal == 0), ""
    return next((way for way in known.contracts if way[0] in signals and way[1] not in signals), None)


def role(name: str, signals: Collection[int]) -> str:
    """Say what an operation is to the signals that enter it by these operands.

    Returns
    -------
    str
        "linear"; "norm"; "product", of two or more signals; "nonlinear"; or "opaque". Weights are told apart by their
        operands, not here.
    """
    known = facts(name)
    if set(known.nonlinear_in).intersection(signals) or (known.role in {"norm", "weight"} and len(signals) > 1):
        return "nonlinear"
    if known.factors is not None and all(group.intersection(signals) for group in known.factors):
        return "product"
    return known.role


def foreign(name: str) -> bool:
    """Tell whether users' code runs in an operation's backward pass, which need not be linear."""
    return name.startswith("custom ") or name == "BackwardHookFunction"


def operation(node: Node) -> str:
    """Return the operation's name: "Add" for AddBackward0, "CopySlices" for torch::autograd::CopySlices.

    A custom function has "custom " before its own name, which may be that of another operation.
    """
    name = node.name()
    if isinstance(node, BackwardCFunction):
        function = getattr(type(node), "_forward_cls", type(node))
        own = function.__module__.startswith("torch.")
        name = _short(name) if own and _short(name) in PYTORCH_S_OWN else own_name(_short(name))
        return REGISTERED.get(function) or REGISTERED.get(name.removeprefix("custom "), name)
    if "CppNode" not in name:
        return _short(name)
    name = own_name(_short(name).rstrip(">"))
    return REGISTERED.get(name.removeprefix("custom "), name)


def own_name(function: type | str) -> str:
    """The name of a custom function in the table; that of torch.library's "mylib::scale" is "mylib_scale"."""
    name = function if isinstance(function, str) else function.__name__
    return "custom " + re.sub(r"^GeneratedBackwardFor_(.+)_default$", r"\1", name)


@functools.cache
def _short(name: str) -> str:
    """A node's name without its last "Backward" and what numbers the overload."""
    return re.sub(r"Backward(?!\w*Backward)\w*$", "", name.rsplit("::", 1)[-1])
