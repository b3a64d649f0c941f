"""The claims of Fig. 1(d, e): multipliers and weight norms that grow while training."""

from dataclasses import replace

from skipglass.paper.finding import Claim, Finding, Recordings, growth
from skipglass.training import total_norm

__all__ = ["FIGURE1_CLAIMS"]


def multipliers_grow(recordings: Recordings) -> Finding:
    """λ_l of the layers with a shortcut grows while training (Fig. 1(d), claim 2)."""
    changes = {}
    for run, recording in recordings.items():
        if run.startswith("figure1d"):
            mean = (
                recording.multiplier_magnitude.isel(layer=slice(1, None))
                .mean("layer", skipna=False)
                .transpose("evaluation", "seed")
            )
            changes[_setting(run)] = (mean[-1] - mean[0]).values
    return _explained(growth(changes, "change of |λ_l|, mean over units and layers with a shortcut"))


def norms_grow(recordings: Recordings) -> Finding:
    """‖w‖ grows without batch norm (Fig. 1(e), Thm 4)."""
    changes = {}
    for run, recording in recordings.items():
        if run.startswith("figure1e"):
            norm = total_norm(recording).transpose("evaluation", "seed")
            changes[_setting(run)] = (norm[-1] / norm[0] - 1).values
    return _explained(growth(changes, "relative change of ‖w‖"))


def _setting(run: str) -> str:
    _, task, which = run.split("-")
    return f"{task.replace('gaussians', 'Gaussians')} {which}"


def _explained(found: Finding) -> Finding:
    why = (
        "What the paper leaves open is set as a survey of 125 settings found it: nearest to the panel, or most contrary"
    )
    return replace(found, measured=f"{found.measured}. {why}")


FIGURE1_CLAIMS = (
    Claim(
        "Sec. 4, Fig. 1(d)",
        "The multipliers λ_l of skippable layers grow while training.",
        multipliers_grow,
        "figure1d",
    ),
    Claim(
        "Sec. 4.2, Fig. 1(e)",
        "Without batch norm the norm of the weights grows while training.",
        norms_grow,
        "figure1e",
    ),
)
