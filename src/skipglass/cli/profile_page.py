"""The page of one profile: what was measured, its panels, and the blocks by name."""

from skipglass.cli.render import made_by
from skipglass.paths import Profile
from skipglass.report import Report, Section, Table

__all__ = ["profile_report"]

LENGTHS = (
    "The gradient of the loss is an exact sum of parts g_r, one for each path length r. Where weight lies at small r, "
    "the network acts as a shallow one, however many layers it has."
)
BLOCKS = "A block participates by the part of the gradient that passes its branch rather than the shortcut around it."


def profile_report(spec: str, said: str, profile: Profile) -> Report:
    """Build the page of a profile.

    Parameters
    ----------
    spec, said
        What the model is, and on which inputs it was measured.
    profile
        The numbers.

    Returns
    -------
    Report
        Ready for `render_page`.
    """
    lead = (
        f"{profile.model} ({spec}) in {profile.mode} mode on {said}; loss: {profile.loss}. Its gradient takes paths "
        f"through {profile.effective_depth:.3g} of at most {profile.reach} on average."
    )
    sections = [
        Section("In numbers", "\n\n".join(f"Note: {note}." for note in profile.notes), (_numbers(profile),)),
        Section("By path length", LENGTHS, profile.length_panels()),
    ]
    if profile.blocks:
        sections.append(Section("By block", BLOCKS, profile.block_panels()))
    return Report(f"The effective depth of {profile.model}", lead, tuple(sections), made_by())


def _numbers(profile: Profile) -> Table:
    fits: list[tuple[str, str | float]] = []
    for fit in profile.fits:
        fits.append((f"{fit.letter}, {fit.reading} model", _with_interval(fit.beta, fit.interval)))
        fits.append((f"KL divergence from the {fit.reading} model [nats]", fit.distance))
    return Table(
        "numbers",
        "What was found",
        "The effective depth is the mean length of the paths that carry the gradient; a higher one means that more of "
        "the network's depth is used. The error says how exactly the parts sum to the gradient, and the cancellation "
        "by how much they exceed it: far above 1, single shares mean little.",
        ("quantity", "value"),
        [
            (f"effective depth [{profile.unit}]", profile.effective_depth),
            *fits,
            ("error ‖Σ g_r - g‖ / Σ ‖g_r‖", profile.error),
            ("cancellation Σ ‖g_r‖ / ‖g‖", profile.cancellation),
            ("samples", str(profile.samples)),
            ("residual blocks", str(len(profile.blocks))),
            ("weights", str(len(profile.weights))),
            ("parallel sums, not counted", str(len(profile.sums))),
            ("opaque operations", ", ".join(dict.fromkeys(profile.opaque)) or "none"),
            ("precision", profile.dtype),
        ],
    )


def _with_interval(beta: float, interval: tuple[float, float] | None) -> str:
    spread = "" if interval is None else f" (95 % {interval[0]:.3g} to {interval[1]:.3g})"
    return f"{beta:.4g}{spread}"
