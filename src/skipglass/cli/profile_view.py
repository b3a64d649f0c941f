"""A profile as the command shows it: as JSON, and on a page with its panels and the blocks by name."""

from pathlib import Path
from typing import Any

from skipglass.cli.render import made_by
from skipglass.paths import Profile
from skipglass.record import write_atomically
from skipglass.report import Report, Section, Table, render_page

__all__ = ["summary", "write_profile"]

SUMMARY = (
    *("model", "mode", "dtype", "loss", "unit", "samples", "effective_depth", "error", "cancellation"),
    *("independent_samples", "notes", "lengths", "norm", "share", "blocks", "participation"),
    *("effective_depth_per_sample", "weights", "sums", "norms", "opaque"),
)
"""What JSON has of a profile: all but what is kept for each sample or block."""

NUMBERS = (
    "The effective depth is the mean length of the paths that carry the gradient; a higher one means that more of the "
    "network's depth is used. The error says how exactly the parts sum to the gradient, and the cancellation by how "
    "much they exceed it: far above 1, single shares mean little."
)
LENGTHS = (
    "The gradient of the loss is an exact sum of parts g_r, one for each path length r. Where weight lies at small r, "
    "the network acts as a shallow one, however many layers it has."
)
BLOCKS = "A block participates by the part of the gradient that passes its branch rather than the shortcut around it."


def summary(spec: str, said: str, profile: Profile) -> dict[str, Any]:
    """Return what JSON says of a profile, of a model by its spec, on inputs as they are described."""
    plain = {name: getattr(profile, name) for name in SUMMARY}
    # as text: the number of paths may have more digits than a reader of JSON keeps
    census = {str(r): str(n) for r, n in profile.census.items()}
    fits = [{k: getattr(fit, k) for k in ("reading", "beta", "interval", "distance")} for fit in profile.fits]
    return {"spec": spec, "inputs": said, **plain, "census": census, "fits": fits}


def write_profile(folder: Path, spec: str, said: str, profile: Profile) -> Path:
    """Leave the recording, the figure and the page in a folder; return the page."""
    profile.save(folder / "profile.nc")
    with write_atomically(folder / "profile.png") as temporary:
        profile.figure().savefig(temporary, dpi=150)
    return render_page(_page(spec, said, profile), folder / "report.html")


def _page(spec: str, said: str, profile: Profile) -> Report:
    answer, *about = profile.headline().splitlines()
    notes = [*about, *(f"Note: {note}." for note in profile.notes)]
    sections = [
        Section("In numbers", "\n\n".join(notes), (_numbers(profile),)),
        Section("By path length", LENGTHS, profile.length_panels()),
    ]
    # a network without residual blocks has path lengths alone
    if profile.blocks:
        sections.append(Section("By block", BLOCKS, profile.block_panels()))
    lead = f"{answer} Measured was {spec} on {said}."
    return Report(f"The effective depth of {profile.model}", lead, tuple(sections), made_by())


def _numbers(profile: Profile) -> Table:
    rows: list[tuple[str, str | float]] = [(f"effective depth [{profile.unit}]", profile.effective_depth)]
    for fit in profile.fits:
        spread = " (95 % {:.3g} to {:.3g})".format(*fit.interval) if fit.interval else ""
        rows.append((f"{fit.letter}, {fit.reading} model", f"{fit.beta:.4g}{spread}"))
        rows.append((f"KL divergence from the {fit.reading} model [nats]", fit.distance))
    rows += [
        ("error ‖Σ g_r - g‖ / Σ ‖g_r‖", profile.error),
        ("cancellation Σ ‖g_r‖ / ‖g‖", profile.cancellation),
        ("residual blocks", str(len(profile.blocks))),
        ("opaque operations", ", ".join(dict.fromkeys(profile.opaque)) or "none"),
    ]
    return Table("numbers", "What was found", NUMBERS, ("quantity", "value"), rows)
