"""`skipglass glass`: sample spin glasses, count their critical points, or descend them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipglass import check
from skipglass.cli.options import AsJson, folder, refuse, with_options
from skipglass.cli.render import progress, say_where
from skipglass.errors import InputError
from skipglass.training import options
from skipglass.training.option import option, validate

if TYPE_CHECKING:  # they load slowly
    import xarray as xr

    from skipglass.theory import Mixture

__all__ = ["glass"]

POINTS, DESCENTS = "Critical points", "Descents"  # the headings on the command line


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How many glasses of which size; the limits are our choice."""

    size: int = option(..., "Λ, the number of spins.", minimum=2)
    samples: int = option(..., "Number of glasses.", minimum=1, maximum=1_000_000)
    seed: int = option(0, "Seed of sample 0; sample i uses seed + i.", minimum=0)
    workers: int = option(1, "Number of processes; the results do not depend on it.", minimum=1, maximum=1_024)

    def __post_init__(self) -> None:
        validate(self)
        check.seed("the last seed", self.seeds[-1])

    @property
    def seeds(self) -> range:
        """That of each sample."""
        return range(self.seed, self.seed + self.samples)


@dataclass(frozen=True, kw_only=True)
class Counting(Sampling):
    """All critical points of small glasses of given orders."""

    orders: str = option("", "Orders, 3 or 2,3, or with their powers, 1:0.3,3:0.7.", POINTS)
    max_starts: int = option(40_000, "Newton starts after which a search gives up.", POINTS, minimum=1)
    size: int = 6
    samples: int = 200

    @property
    def mixture(self) -> "Mixture":
        """{order: power} of "3", "2,3" (equal powers) or "1:0.3,3:0.7"."""
        from skipglass.theory import Mixture

        parts = [part.split(":") for part in self.orders.split(",")]
        try:
            powers = {int(part[0]): float(part[1]) if len(part) > 1 else 1 / len(parts) for part in parts}
        except ValueError:
            powers = {}
        # each order once, and with a power where the others have one
        if len(powers) != len(parts) or len({len(part) for part in parts}) != 1 or len(parts[0]) > 2:
            raise InputError(
                f"orders must be like 3, or 2,3, or 1:0.3,3:0.7 (order:power), each order once, not {self.orders!r}"
            )
        return Mixture(powers)

    def run(self, mixture: "Mixture", workers: int, on_sample: Callable[[], None]) -> "xr.Dataset":
        """Count them."""
        from skipglass.paper.samples import counts

        return counts(mixture, self.size, self.seeds, workers, on_sample, self.max_starts)


@dataclass(frozen=True, kw_only=True)
class Descending(Sampling):
    """Descents in large glasses of a network."""

    depth: int | None = option(None, "Depth of the network.", DESCENTS, minimum=1)
    beta: float | None = option(None, "β of the network (Eq. 17).", DESCENTS, minimum=0)
    field: bool = option(False, "Keep its paths of length 1, which act as a field.", DESCENTS)
    starts: int = option(2, "Descents in each glass.", DESCENTS, minimum=1)
    steps: int = option(40, "Largest number of steps of each descent.", DESCENTS, minimum=1)
    size: int = 2000
    samples: int = 3

    @property
    def mixture(self) -> "Mixture":
        """That of the network."""
        from skipglass.theory import DepthEnsemble

        if self.depth is None or self.beta is None:
            raise InputError("the glass of a network needs --depth and --beta")
        return DepthEnsemble(self.depth, self.beta).mixture(field=self.field)

    def run(self, mixture: "Mixture", workers: int, on_sample: Callable[[], None]) -> "xr.Dataset":
        """Descend."""
        from skipglass.paper.samples import descents

        much = {"starts": self.starts, "steps": self.steps, "workers": workers}
        name = f"depth {self.depth}, β = {self.beta:g}, {'field kept' if self.field else 'no field'}"
        return descents(mixture, self.size, self.seeds, on_sample=on_sample, **much).assign_attrs(name=name)


TABLES = {"critical points": options(Counting), "descents": options(Descending)}


@with_options(TABLES)
def glass(
    out: Annotated[str | None, folder("Folder for the recording, the figure and report.html.")] = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Sample spin glasses: count critical points (--orders), or descend (--depth and --beta)."""
    if ("orders" in given) == ("depth" in given):
        raise InputError("ask for critical points with --orders, or for descents with --depth and --beta: one of them")
    counting = "orders" in given
    asked = "critical points" if counting else "descents"
    refuse(given, TABLES, asked)
    sampling = Counting(**given) if counting else Descending(**given)
    mixture, workers = sampling.mixture, _workers(sampling.workers)
    from skipglass.record import output_folder

    # all that can be refused has been, before anything is computed or written
    place = None if out is None else output_folder(out)
    with progress() as bar:
        task = bar.add_task(f"{asked}, samples", total=sampling.samples)
        recording = sampling.run(mixture, workers, lambda: bar.advance(task))
    # torch, only once there is something to show
    from skipglass.cli.glass_view import counts_view, descents_view

    view = (counts_view if counting else descents_view)(recording)
    view.show(as_json=as_json)
    if place is not None:
        say_where(view.write(place), on_stderr=as_json)


def _workers(asked: int) -> int:
    """As many as asked for, up to one per core: more would only wait for one another."""
    if asked == 1:
        return 1
    from skipglass.training import cores

    most = max(2, cores())
    if asked > most:
        typer.echo(f"{most} workers in place of {asked}: more than the machine has cores would be slower", err=True)
    return min(asked, most)
