"""Many independent tasks: in this process, in local processes (joblib's), or on a Dask cluster."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from skipglass import check
from skipglass.errors import InputError, UserError, one_line
from skipglass.training.interrupts import interrupts_held
from skipglass.training.processes import log_level

__all__ = ["cores", "map_unordered"]

T = TypeVar("T")
PATIENCE = 5.0  # seconds in which a scheduler must answer: our choice
KEPT = ". What was finished is kept"
LOOK = 0.1  # seconds between two looks whether Ctrl-C was pressed: our choice


def map_unordered(
    task: Callable[[Any], T], items: Iterable[Any], *, workers: int = 1, cluster: str | None = None
) -> Iterator[T]:
    """Yield task(item) of each item as soon as it is done, in any order.

    What has been yielded is safe with the caller, whatever happens to workers later. Dask gives the task of a worker
    that was lost to another one.

    Parameters
    ----------
    task
        A function that other processes can import.
    items
        Its arguments.
    workers
        Local processes; 1 works in this one.
    cluster
        The address of a Dask scheduler, "tcp://HOST:PORT"; None takes local processes.

    Yields
    ------
    T
        The results.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; local workers do not see it, and are ended.
    UserError
        If a local worker was killed, a task failed on the cluster, it cannot be reached, has no workers or was lost, or
        a package is missing.
    """
    todo = list(items)
    check.integer("workers", workers, 1)
    if cluster is not None and not cluster.strip():
        raise InputError("the address of the cluster is empty; give that of a Dask scheduler, tcp://HOST:PORT")
    if cluster is not None:
        yield from _on_cluster(task, todo, cluster)
    elif workers == 1:
        yield from map(task, todo)
    elif todo:
        yield from _in_processes(task, todo, workers)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_processes(task: Callable[[Any], T], items: list[Any], workers: int) -> Iterator[T]:
    """Use joblib's executor: under `joblib.Parallel`, Ctrl-C would be raised inside it and inside its workers."""
    try:
        from joblib.externals.loky import ProcessPoolExecutor
    except ImportError as error:
        raise UserError(f"{workers} workers need joblib: pip install 'skipglass[train]', or take one") from error
    with interrupts_held() as raise_if_pressed:
        executor = ProcessPoolExecutor(workers, env={"OMP_NUM_THREADS": str(max(1, cores() // workers))})
        try:
            # a terminal sends Ctrl-C to the workers too. They start in here with the signals blocked that are blocked
            # here; the tracker of multiprocessing would unblock them as it starts, and so has to run before
            resource_tracker.ensure_running()
            unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                pending = {executor.submit(task, item) for item in items}
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            while pending:
                raise_if_pressed()
                done, pending = wait(pending, LOOK, FIRST_COMPLETED)
                # all that is done is handed over before Ctrl-C is looked at again
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise UserError(
                f"a worker process was killed (out of memory?); start again, with fewer workers{KEPT}"
            ) from error
        finally:
            executor.shutdown(wait=True, kill_workers=True)


def _on_cluster(task: Callable[[Any], T], items: list[Any], address: str) -> Iterator[T]:
    """Use Dask's own client: joblib's Dask backend hands results over only when all of them are there."""
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError as error:
        raise UserError("a Dask cluster needs distributed: pip install 'skipglass[dask]'") from error
    with log_level("distributed", logging.CRITICAL):  # what matters is raised
        try:
            with ThreadPoolExecutor(1) as apart:  # a notebook's thread has a loop of its own
                apart.submit(asyncio.run, _answers(address)).result()
            client = Client(address, timeout=PATIENCE, set_as_default=False)
        except Exception as error:  # whatever listens there may answer anything
            raise UserError(
                f"the Dask scheduler {address} cannot be reached ({type(error).__name__}); start one with "
                "`dask scheduler`, and give the address that it prints"
            ) from error
        # a scheduler is there; from here on it may be lost
        with client:
            if not client.scheduler_info()["workers"]:
                raise UserError(f"the Dask cluster {address} has no workers; start some with `dask worker {address}`")
            try:
                for future in as_completed(client.map(task, items, pure=False), loop=client.loop):
                    yield future.result()
            except UserError:
                raise
            except Exception as error:
                # the task's own, or what a worker without this package makes of it
                why = f"a task failed on a worker of {address} with {one_line(error)}; workers need the same packages"
                if isinstance(error, KilledWorker):
                    why = f"workers of {address} died again and again on one task (out of memory?)"
                elif isinstance(error, CancelledError):
                    why = f"the Dask cluster {address} was lost; start again when it is back"
                raise UserError(why + KEPT) from error


async def _answers(address: str) -> None:
    """Shake hands before there is a client: the end of one that never was is long and loud."""
    from distributed.comm import connect

    comm = await connect(address, timeout=PATIENCE)
    await comm.close()
