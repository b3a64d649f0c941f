"""Runs on the sphere, and what they leave: energies and gradients along the way, and where they ended."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass.base import Glass
from skipglass.record import Result, attributes, coordinate, derived, text, variable
from skipglass.report import Axis, Panel, Series

__all__ = ["OnStep", "Runs", "Trajectory", "require_steps"]

DRAWN = 10  # lines of the figure

OnStep = Callable[[int], None]


def _rows(values: Any) -> NDArray[np.float64]:
    """One row per start, whatever their batch."""
    return torch.as_tensor(values).reshape(-1, values.shape[-1]).double().cpu().numpy()


@dataclass(frozen=True, eq=False)
class Trajectory(Result):
    """One run from each start. Shapes are those of the starts' batch, (...), none for a single start.

    In a file the starts lie along one dimension, whatever their batch.

    Attributes
    ----------
    method
        "descent" or "langevin".
    energies
        (..., T+1) u = H/Λ before the first step and after each; a run that stopped repeats its last.
    gradient_norms
        (..., T+1) ‖P∇H‖/√Λ, likewise.
    end
        (..., Λ) the last points.
    steps
        (...) steps taken.
    converged
        (...) whether the gradient fell below the tolerance (descent), or all steps were taken (langevin).
    evaluations
        (...) points at which energy and gradient were evaluated.
    settings
        The arguments of the run: tolerance; or temperature, time_step, seed.
    acceptance
        (...) share of accepted steps (langevin), else None.

    Examples
    --------
    >>> from skipglass.glass import LazyGlass, descend
    >>> from skipglass.theory import Mixture
    >>> z = LazyGlass(Mixture({1: 0.9, 2: 0.1}), size=200, seed=0)
    >>> run = descend(z, z.random_points(1)[0])
    >>> bool(run.converged), run.energies.shape[0] - int(run.steps)
    (True, 1)
    """

    kind: ClassVar[str] = "trajectory"

    method: str = text("method", shown=False)
    energies: NDArray[np.float64] = variable(
        "start", "step", encode=_rows, stored="energy", long_name="energy per spin H/Λ", shown=False
    )
    gradient_norms: NDArray[np.float64] = variable(
        "start", "step", encode=_rows, stored="gradient_norm", long_name="gradient norm ‖P∇H‖/√Λ", shown=False
    )
    end: Tensor = variable("start", "dimension", encode=_rows, decode=torch.from_numpy, shown=False)
    steps: NDArray[np.int64] = variable("start", of=int, encode=np.ravel)
    converged: NDArray[np.bool_] = variable("start", of=bool, encode=np.ravel)
    evaluations: NDArray[np.int64] = variable("start", of=int, encode=np.ravel)
    settings: dict[str, float] = attributes(default_factory=dict)
    acceptance: NDArray[np.float64] | None = variable("start", encode=np.ravel, letter="accepted", default=None)

    @property
    def size(self) -> int:
        """Λ."""
        return int(self.end.shape[-1])

    @property
    @derived(coordinate("start"))
    def starts(self) -> NDArray[np.int64]:
        """The numbers of the starts: 0, 1, …."""
        return np.arange(self.steps.size)

    @property
    @derived(coordinate("step", shown=False))
    def step(self) -> NDArray[np.int64]:
        """0 before the first step, … T."""
        return np.arange(self.energies.shape[-1])

    @property
    @derived(variable("start", encode=np.ravel, letter="last H/Λ", stored="last_energy"))
    def energy(self) -> NDArray[np.float64]:
        """(...) u = H/Λ at the end points."""
        return self.energies[..., -1]

    @property
    @derived(variable("start", encode=np.ravel, letter="last ‖P∇H‖/√Λ", stored="last_gradient_norm"))
    def gradient_norm(self) -> NDArray[np.float64]:
        """(...) ‖P∇H‖/√Λ at the end points."""
        return self.gradient_norms[..., -1]

    def headline(self) -> str:
        """How many runs converged (or how many steps were accepted), and the mean energy that they reached."""
        reached = f"to a mean H/Λ of {np.mean(self.energy):.5f}" if self.steps.size else "with no H/Λ to report"
        if self.acceptance is None:
            done = f"{int(self.converged.sum())} of {self.converged.size} runs converged"
        else:
            done = f"{self.steps.size} runs took {self.energies.shape[-1] - 1} steps each"
        return f"{done}, {reached} ({self._setting()})."

    def panel(self) -> Panel:
        """H/Λ against the step, one line per start (at most 10)."""
        runs = list(zip(_rows(self.energies), self.steps.reshape(-1).tolist(), strict=True))[:DRAWN]
        return Panel(
            f"glass-{self.method}",
            self._setting(),
            "Lower is deeper in the landscape; a line that ends early has converged.",
            Axis("step"),
            Axis("energy per spin H/Λ"),
            tuple(Series(f"start {k}", np.arange(last + 1), u[: last + 1]) for k, (u, last) in enumerate(runs)),
            color=Axis("start"),
        )

    def _setting(self) -> str:
        return ", ".join([self.method, f"Λ = {self.size}", *(f"{name} {v:g}" for name, v in self.settings.items())])


class Runs(ABC):
    """n runs side by side: where they stand, (n, Λ) points and gradients and (n,) energies, and the way there.

    Parameters
    ----------
    h
        The glass.
    start, project
        As `Glass.on_sphere` takes them; each start is the beginning of one run.
    """

    def __init__(self, h: Glass, start: Tensor, project: bool) -> None:
        w = h.on_sphere(start, project)
        self.h, self.batch = h, w.shape[:-1]
        self.w = w.reshape(-1, h.size).clone()
        self.energy, self.gradient = h.energy_and_gradient(self.w)
        self.energies: list[Tensor] = []
        self.norms: list[Tensor] = []
        self._record()

    @abstractmethod
    def step(self) -> None:
        """Move the runs by one step."""

    @property
    def over(self) -> bool:
        """Whether no run goes on."""
        return False

    def follow(self, steps: int, on_step: OnStep | None) -> None:
        """Take steps until the runs are over, at most ``steps``."""
        for done in range(1, steps + 1):
            if self.over:
                break
            self.step()
            self._record()
            if on_step is not None:
                on_step(done)

    def trajectory(self, method: str, settings: dict[str, float], **more: Tensor) -> Trajectory:
        """Return the record in the shape of the starts' batch.

        Parameters
        ----------
        method, settings
            As in `Trajectory`.
        **more
            steps, converged and evaluations, and acceptance, (n,).

        Returns
        -------
        Trajectory
            On the CPU but for the end points.
        """
        # (n, T+1): steps are the last dimension
        more["energies"] = torch.stack(self.energies, dim=-1).double()
        more["gradient_norms"] = torch.stack(self.norms, dim=-1).double()
        arrays: Any = {name: t.reshape(self.batch + t.shape[1:]).cpu().numpy() for name, t in more.items()}
        return Trajectory(method=method, end=self.w.reshape(*self.batch, self.h.size), settings=settings, **arrays)

    def _record(self) -> None:
        self.energies.append(self.energy / self.h.size)
        self.norms.append(self.gradient.norm(dim=-1) / math.sqrt(self.h.size))


def require_steps(h: object, steps: int | None) -> int:
    """Return how many steps to take in a glass, its default if None; refuse what is no glass."""
    if not isinstance(h, Glass):
        raise InputError(f"descend and langevin take a SphericalGlass or a LazyGlass, not {type(h).__name__}")
    return h.default_steps if steps is None else check.integer("steps", steps)
