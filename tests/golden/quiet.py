"""The surroundings that golden values are computed in."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

__all__ = ["prepared", "surroundings"]


@contextmanager
def surroundings() -> Iterator[None]:
    """Seeded, quiet, one thread; weights are drawn in float64, as float32 normals depend on the processor."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)


def prepared(case: Callable[[], dict]) -> Callable[[], dict]:
    """The case in these surroundings."""

    def run() -> dict:
        with surroundings():
            return case()

    return run
