"""`skipglass measure`: how the gradient of one batch flows through a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipglass.cli.folders import folder_option

if TYPE_CHECKING:
    from skipglass.paths import Profile

__all__ = ["measure"]


def measure(
    spec: Annotated[
        str,
        typer.Argument(
            help="timm:NAME, torchvision:NAME, hf:NAME_OR_CONFIG.json, with random weights; or package.module:factory "
            "or file.py:factory, with the weights that the factory gives."
        ),
    ],
    inputs: Annotated[Path | None, typer.Option("--input", help="file.npy or file.pt; else a random batch.")] = None,
    targets: Annotated[Path | None, typer.Option(help="file.npy or file.pt, for the loss.")] = None,
    unit: Annotated[str, typer.Option(help="blocks, or weights (the paper's r).")] = "blocks",
    train: Annotated[bool | None, typer.Option("--train/--eval", help="Mode; else as it is built.")] = None,
    batch: Annotated[int, typer.Option(help="Random samples.")] = 8,
    tokens: Annotated[int, typer.Option(help="Tokens in each random sequence.")] = 16,
    shape: Annotated[str | None, typer.Option(help="Of one random sample: 3,64,64.")] = None,
    seed: Annotated[int, typer.Option(help="Of the weights and the random batch.")] = 0,
    out: Annotated[
        Path | None,
        folder_option("Folder for profile.nc, profile.png and report.html."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Split the gradient of a network by path length and say which blocks carry it."""
    import warnings

    from skipglass import check
    from skipglass.cli.render import print_json, progress
    from skipglass.errors import InputError
    from skipglass.record import output_folder

    check.choice("unit", unit, ("blocks", "weights"))
    count, length = check.integer("batch", batch, 1), check.integer("tokens", tokens, 1)
    number, sample = check.seed("seed", seed), _shape(shape)
    folder = None if out is None else output_folder(out)
    with progress() as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say about a profile stands in its notes
        task = bar.add_task("building the model", total=4)

        def say(step: str) -> None:
            bar.update(task, description=step, advance=1)

        import torch

        from skipglass.cli.specs import build, random_inputs, read_tensors
        from skipglass.paths import measure as run

        torch.manual_seed(number)
        built = build(spec)
        given, said = built.inputs, "inputs of the factory"
        if inputs is not None:
            given, said = read_tensors(inputs), f"inputs of {inputs}"
        elif given is None:
            given, said = random_inputs(built.model, count, length, sample)
        wanted = built.targets if targets is None else read_tensors(targets)
        if train is not None:
            built.model.train(train)
        try:
            profile = run(built.model, given, wanted, unit=unit, progress=say)
        except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
            if "memory" not in f"{type(error).__name__} {error}".lower():
                raise
            raise InputError(
                "the measurement does not fit in memory; give a smaller --batch, --tokens or --shape"
            ) from error
        bar.update(task, description="measured", completed=4)
    if as_json:
        print_json(_summary(spec, said, profile))
    else:
        typer.echo(f"{spec}: {said}\n{profile}")
    if folder is not None:
        page = _write(folder, spec, said, profile)
        typer.echo(f"{page}: open it in a browser", err=as_json)


def _shape(text: str | None) -> tuple[int, ...] | None:
    """A shape as it is written on the command line."""
    from skipglass import check
    from skipglass.errors import InputError

    if text is None:
        return None
    try:
        return tuple(check.integer("shape", int(part), 1) for part in text.split(","))
    except ValueError:
        raise InputError(f"shape must be whole numbers from 1 up, as 3,64,64; not {text!r}") from None


def _summary(spec: str, said: str, profile: "Profile") -> dict[str, object]:
    """The profile without what is kept for each sample."""
    plain = ("model", "mode", "dtype", "loss", "unit", "samples", "effective_depth", "error", "cancellation")
    more = ("independent_samples", "notes", "lengths", "norm", "share", "blocks", "participation")
    return {
        "spec": spec,
        "inputs": said,
        **{name: getattr(profile, name) for name in (*plain, *more)},
        "effective_depth_per_sample": profile.effective_depth_per_sample,
        "census": {r: str(n) for r, n in profile.census.items()},
        "fits": [
            {"reading": f.reading, "beta": f.beta, "interval": f.interval, "distance": f.distance} for f in profile.fits
        ],
        **{name: list(getattr(profile, name)) for name in ("weights", "sums", "norms", "opaque")},
    }


def _write(folder: Path, spec: str, said: str, profile: "Profile") -> Path:
    """Leave the recording, the figure and the page in a folder; return the page."""
    from skipglass.cli.profile_page import profile_report
    from skipglass.record import write_atomically
    from skipglass.report import render_page

    profile.save(folder / "profile.nc")
    with write_atomically(folder / "profile.png") as temporary:
        profile.figure().savefig(temporary, dpi=150)
    return render_page(profile_report(spec, said, profile), folder / "report.html")
