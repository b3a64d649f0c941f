"""Watching a training run: a probe batch, remeasured on a schedule."""

from skipglass.watch.callbacks import huggingface_callback, lightning_callback
from skipglass.watch.monitor import Monitor
from skipglass.watch.recording import Recording

__all__ = ["Monitor", "Recording", "huggingface_callback", "lightning_callback"]
