"""Many samples of one glass, one seed each, on any number of workers."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import CriticalPoints, SphericalGlass, critical_points
from skipglass.glass.search import Rules
from skipglass.theory import Mixture
from skipglass.threads import one_thread

__all__ = ["over_seeds", "searched"]

BATCH = 20  # samples searched side by side: our choice; fixed, so that results do not depend on the number of workers


def over_seeds(call: Callable[[Any], Any], seeds: Sequence[Any], workers: int = 1) -> Iterator[Any]:
    """Call a function for each seed, on several processes of one thread; results come in the order of the seeds.

    Parameters
    ----------
    call
        Of one seed (or batch of seeds) alone, so that the number of workers changes nothing. It runs on one thread,
        in this process too: the order of sums depends on the number of threads, and so would the last digits.
    seeds
        One per sample, or batches of them.
    workers
        Number of processes. joblib's backend can be chosen around the call by `joblib.parallel_config`.

    Yields
    ------
    Any
        What ``call`` returns.

    Raises
    ------
    InputError
        If joblib is needed and not installed.
    """
    alone = partial(_alone, call)
    if check.integer("workers", workers, 1) == 1:
        yield from map(alone, seeds)
        return
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise InputError(f"{workers} workers need joblib: install skipglass[train], or ask for one worker") from None
    yield from Parallel(n_jobs=workers, return_as="generator")(delayed(alone)(seed) for seed in seeds)


def searched(
    mixture: Mixture, size: int, seeds: Sequence[int], workers: int = 1, max_starts: int = Rules.max_starts
) -> Iterator[CriticalPoints]:
    """Find the critical points of the glass of each seed; incomplete searches are marked, not warned of.

    Parameters
    ----------
    mixture, size
        ξ and Λ.
    seeds
        One per glass.
    workers
        Number of processes.
    max_starts
        Of each search, as `critical_points` takes it.

    Yields
    ------
    CriticalPoints
        One per glass, in the order of the seeds.
    """
    # batches are searched side by side, and are the same for any number of workers
    batches = [seeds[k : k + BATCH] for k in range(0, len(seeds), BATCH)]
    for batch in over_seeds(partial(_search, mixture, size, max_starts), batches, workers):
        yield from batch


def _alone(call: Callable[[Any], Any], seed: Any) -> Any:
    with one_thread():
        return call(seed)


def _search(mixture: Mixture, size: int, max_starts: int, seeds: Sequence[int]) -> list[CriticalPoints]:
    glasses = [SphericalGlass(mixture, size, seed=s) for s in seeds]
    return critical_points(glasses, max_starts=max_starts, warn=False)
