"""`skipglass measure`: how the gradient of one batch flows through a network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from skipglass import check
from skipglass.cli.options import AsJson, folder, with_options
from skipglass.cli.render import print_json, say_where
from skipglass.training import options
from skipglass.training.option import option, validate

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
    # torch, only once there is something to compute
    from skipglass.cli.measuring import measured
    from skipglass.cli.profile_view import summary, write_profile

    said, profile = measured(spec, train=train, **vars(measurement))
    if as_json:
        print_json(summary(spec, said, profile))
    else:
        typer.echo(f"{spec}: {said}\n{profile}")
    if place is not None:
        say_where(write_profile(place, spec, said, profile), on_stderr=as_json)
