"""Activation checkpoints that keep some results: read as often as a measurement needs.

``torch.utils.checkpoint.create_selective_checkpoint_contexts`` keeps what it was told to and throws it away as the
first backward pass takes it. A measurement runs several: what was kept is put back after each.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils import checkpoint

__all__ = ["repeatable_checkpoints"]


@contextmanager
def repeatable_checkpoints() -> Iterator[None]:
    """Let every selective checkpoint be computed again any number of times, also after this context.

    Yields
    ------
    None
        Once.
    """
    mode: Any = getattr(checkpoint, "_CachedTorchDispatchMode", None)
    if mode is None:
        yield
        return
    enter, leave = mode.__enter__, mode.__exit__
    kept: dict[int, dict[Any, Any]] = {}

    def entering(self: Any) -> Any:
        kept.setdefault(id(self), {key: copy.copy(results) for key, results in self.storage.items()})
        return enter(self)

    def leaving(self: Any, *raised: Any) -> Any:
        self.storage.update(kept.pop(id(self), {}))
        return leave(self, *raised)

    mode.__enter__, mode.__exit__ = entering, leaving
    try:
        yield
    finally:
        mode.__enter__, mode.__exit__ = enter, leave
