"""`skipglass measure`: how the gradient of one batch flows through a network."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipglass import check
from skipglass.cli.options import AsJson, folder, with_options
from skipglass.cli.render import print_json, progress, say_where
from skipglass.errors import InputError
from skipglass.training import options
from skipglass.training.option import option, validate

if TYPE_CHECKING:  # it loads torch
    from skipglass.paths import Profile

__all__ = ["measure"]


@dataclass(frozen=True)
class Measurement:
    """How a model is measured, and on what."""

    inputs: Path | None = option(None, "Inputs, file.npy or file.pt; by default a random batch.", flag="--input")
    targets: Path | None = option(None, "Targets of the loss, file.npy or file.pt.")
    unit: str = option("blocks", "What path lengths count; the paper counts weights.", choices=("blocks", "weights"))
    batch: int = option(8, "Number of random samples.", minimum=1)
    tokens: int = option(16, "Tokens in each random sequence.", minimum=1)
    shape: tuple[int, ...] | None = option(None, "Shape of one random sample, as 3,64,64.")
    seed: int = option(0, "Seed of the weights and of the random batch.", minimum=0, maximum=2**63 - 1)

    def __post_init__(self) -> None:
        validate(self)
        for size in self.shape or ():
            check.integer("shape", size, 1)


@with_options({"": options(Measurement)})
def measure(
    spec: Annotated[
        str,
        typer.Argument(
            help="The model: timm:NAME, torchvision:NAME or hf:NAME_OR_CONFIG.json, with random weights; or "
            "package.module:factory or file.py:factory, with the weights that the factory gives."
        ),
    ],
    train: Annotated[bool | None, typer.Option("--train/--eval", help="Mode; by default as built.")] = None,
    out: Annotated[str | None, folder("Folder for profile.nc, profile.png and report.html.")] = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Split the gradient of a network by path length, and say which blocks carry it."""
    from skipglass.record import output_folder

    measurement, place = Measurement(**given), None if out is None else output_folder(out)
    said, profile = _measured(spec, measurement, train)
    from skipglass.cli.profile_view import summary, write_profile

    if as_json:
        print_json(summary(spec, said, profile))
    else:
        typer.echo(f"{spec}: {said}\n{profile}")
    if place is not None:
        say_where(write_profile(place, spec, said, profile), on_stderr=as_json)


def _measured(spec: str, asked: Measurement, train: bool | None) -> "tuple[str, Profile]":
    """What the inputs are, in words, and the profile."""
    # what a measurement warns of stands in the notes of the profile, which are printed
    with progress() as bar, warnings.catch_warnings(action="ignore"):
        task = bar.add_task("building the model", total=4)
        import torch

        from skipglass.cli.inputs import fill_lazy, random_inputs, read_tensors
        from skipglass.cli.specs import built
        from skipglass.paths import measure as run

        def say(step: str) -> None:
            bar.update(task, description=step, advance=1)

        torch.manual_seed(asked.seed)
        with built(spec) as made:
            inputs, said = made.inputs, "inputs of the factory"
            if asked.inputs is not None:
                inputs, said = read_tensors(asked.inputs), f"inputs of {asked.inputs}"
            elif inputs is None:
                inputs, said = random_inputs(made.model, asked.batch, asked.tokens, asked.shape)
            targets = made.targets if asked.targets is None else read_tensors(asked.targets)
            if train is not None:
                made.model.train(train)
            fill_lazy(made.model, inputs)
            try:
                profile = run(made.model, inputs, targets, unit=asked.unit, progress=say)
            except (RuntimeError, MemoryError) as error:
                if "memory" not in f"{type(error).__name__} {error}".lower():
                    raise
                words = "the measurement does not fit in memory; give a smaller --batch, --tokens or --shape"
                raise InputError(words) from error
        bar.update(task, description="measured", completed=4)
    return said, profile
