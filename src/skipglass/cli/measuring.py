"""What `skipglass measure` does once its options are known: build the model, find its inputs, measure."""

import warnings
from pathlib import Path

import torch

from skipglass.cli.inputs import random_inputs, read_tensors
from skipglass.cli.render import progress
from skipglass.cli.specs import built
from skipglass.errors import InputError
from skipglass.paths import Profile, measure

__all__ = ["measured"]


def measured(
    spec: str,
    *,
    inputs: Path | None,
    targets: Path | None,
    unit: str,
    batch: int,
    tokens: int,
    shape: tuple[int, ...] | None,
    seed: int,
    train: bool | None,
) -> tuple[str, Profile]:
    """Measure the model that a spec names.

    Parameters
    ----------
    spec
        See `built`.
    inputs, targets
        Files; None takes those of the model's factory, or a random batch and no targets.
    unit
        As in `skipglass.measure`.
    batch, tokens, shape
        Of a random batch, see `random_inputs`.
    seed
        Of random weights and of a random batch.
    train
        Whether the model is in train mode; None leaves it as it was built.

    Returns
    -------
    tuple
        What the inputs are, in words, and the profile.

    Raises
    ------
    UserError
        If the model cannot be built, the inputs do not fit it, or memory runs out.
    """
    with progress() as bar, warnings.catch_warnings():
        # what a measurement warns of stands in the notes of the profile, which are printed
        warnings.simplefilter("ignore")
        task = bar.add_task("building the model", total=4)
        torch.manual_seed(seed)
        with built(spec) as made:
            given, said = made.inputs, "inputs of the factory"
            if inputs is not None:
                given, said = read_tensors(inputs), f"inputs of {inputs}"
            elif given is None:
                given, said = random_inputs(made.model, batch, tokens, shape)
            wanted = made.targets if targets is None else read_tensors(targets)
            if train is not None:
                made.model.train(train)
            try:
                profile = measure(
                    made.model,
                    given,
                    wanted,
                    unit=unit,
                    progress=lambda step: bar.update(task, description=step, advance=1),
                )
            except (RuntimeError, MemoryError) as error:
                if "memory" not in f"{type(error).__name__} {error}".lower():
                    raise
                raise InputError(
                    "the measurement needs too much memory; give a smaller --batch, --tokens or --shape"
                ) from error
        bar.update(task, description="measured", completed=4)
    return said, profile
