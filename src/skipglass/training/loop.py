"""The training loop. Trainings differ in what they train, and in their callbacks.

A *callback* is called with the `Run` once before the first step, when no loss is there yet, and after every step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from skipglass.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Callback", "Diverged", "Interrupted", "Run", "fit"]


class Diverged(InputError):
    """The loss or the weights stopped being finite; ``recording`` is what was recorded until then."""

    recording: "xr.Dataset"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a training before its last epoch; ``recording`` is what was recorded until then."""

    recording: "xr.Dataset"


@dataclass(eq=False)
class Run:
    """A training under way, as its callbacks see it.

    Attributes
    ----------
    model, batches, optimizer, epochs
        As given to `fit`.
    steps
        How many steps of the optimiser were made, over all sessions of a training that was resumed.
    inputs, targets, outputs, loss
        Of the latest step; None before the first of this session.
    """

    model: Callable[[Any], Any]
    batches: Any
    optimizer: Any
    epochs: int
    steps: int = 0
    inputs: Any = None
    targets: Any = None
    outputs: Any = None
    loss: Any = None

    @property
    def progress(self) -> float:
        """How many epochs were trained."""
        return self.steps / len(self.batches)

    @property
    def epoch_ends(self) -> bool:
        """Whether the latest step was the last of its epoch."""
        return self.loss is not None and self.steps % len(self.batches) == 0


Callback = Callable[[Run], object]


def fit(
    model: Callable[[Any], Any],
    batches: Any,
    optimizer: Any,
    callbacks: Sequence[Callback] = (),
    *,
    epochs: int,
    epochs_done: int = 0,
    loss_fn: Callable[[Any, Any], Tensor] = F.cross_entropy,
    backward: Callable[[Tensor], None] = Tensor.backward,
) -> Run:
    """Train a model: for every batch of every epoch the loss, its gradients, and a step of the optimiser.

    The same loop runs in one process and in many: under lightning-fabric pass what ``Fabric.setup`` returns, and
    ``Fabric.backward``. The mode of the model is left as it is, and nothing is caught: what a callback raises ends the
    training, as does Ctrl-C.

    Parameters
    ----------
    model
        Called with the inputs of a batch.
    batches
        Iterated once for each epoch; gives (inputs, targets), and knows by ``len`` how many.
    optimizer
        Of the parameters.
    callbacks
        Called in this order; see the module.
    epochs
        After how many epochs to stop.
    epochs_done
        How many of them are done already, where a training is resumed.
    loss_fn
        loss_fn(outputs, targets).
    backward
        Called with the loss.

    Returns
    -------
    Run
        What the training has come to.

    Examples
    --------
    >>> import torch
    >>> model, losses = torch.nn.Linear(2, 2), []
    >>> batches = [(torch.eye(2), torch.tensor([0, 1]))]
    >>> run = fit(model, batches, torch.optim.SGD(model.parameters(), lr=1.0), [lambda run: losses.append(run.loss)],
    ...           epochs=20)
    >>> run.steps, losses[0], bool(losses[20] < losses[1])
    (20, None, True)
    """
    # whole epochs are resumed, so that the batches start anew
    run = Run(model, batches, optimizer, epochs, epochs_done * len(batches))
    for callback in callbacks:
        callback(run)
    for _ in range(epochs_done, epochs):
        for run.inputs, run.targets in batches:
            run.outputs = model(run.inputs)
            loss = loss_fn(run.outputs, run.targets)
            optimizer.zero_grad(set_to_none=True)
            backward(loss)
            optimizer.step()
            # the step counts once the optimiser has made it; from here on the callbacks see it
            run.loss = loss.detach()
            run.steps += 1
            for callback in callbacks:
                callback(run)
    return run
