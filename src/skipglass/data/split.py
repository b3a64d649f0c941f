"""Labelled samples, split into a training and a test set."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Split"]


@dataclass(frozen=True)
class Split:
    """Training and test samples of a classification task.

    Attributes
    ----------
    inputs, test_inputs : Tensor
        (N, d), float64.
    targets, test_targets : Tensor
        (N,), class numbers 0..classes-1.
    classes : int
        How many classes there are.
    """

    inputs: Tensor
    targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: int

    @property
    def features(self) -> int:
        """d, the dimension of one input."""
        return self.inputs.shape[-1]
