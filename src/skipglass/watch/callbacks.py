"""A monitor in other people's training loops: one callback a framework, made when it is asked for."""

from typing import Any

from skipglass.errors import InputError
from skipglass.watch.monitor import Monitor

__all__ = ["huggingface_callback", "lightning_callback"]


def lightning_callback(monitor: Monitor) -> Any:
    """Return a Lightning callback that steps a monitor with the optimizer, in the first process.

    Its state is part of Lightning's checkpoints, so that a resumed run has the same recording.

    Parameters
    ----------
    monitor
        Of the module that trains, made before ``trainer.fit``, on the device where it will train.

    Returns
    -------
    lightning.pytorch.Callback
        For ``Trainer(callbacks=[...])``.

    Raises
    ------
    InputError
        If Lightning is not installed.
    """
    try:
        from lightning.pytorch import Callback
    except ImportError as error:
        raise InputError("Lightning is not installed; pip install lightning") from error

    class MonitorCallback(Callback):
        def on_train_batch_end(self, trainer: Any, *_: object, **__: object) -> None:
            if trainer.is_global_zero:
                _catch_up(monitor, trainer.global_step)

        def state_dict(self) -> dict[str, Any]:
            return monitor.state_dict()

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            monitor.load_state_dict(state_dict)

    return MonitorCallback()


def huggingface_callback(monitor: Monitor) -> Any:
    """Return a callback for Hugging Face's Trainer that steps a monitor with the optimizer, in the first process.

    Trainer keeps no state for it: save the monitor's ``state_dict`` beside a checkpoint, and load it to resume.

    Parameters
    ----------
    monitor
        Of the model that trains, on the device where it will train.

    Returns
    -------
    transformers.TrainerCallback
        For ``Trainer(callbacks=[...])``.

    Raises
    ------
    InputError
        If transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise InputError("transformers is not installed; pip install transformers") from error

    class MonitorCallback(TrainerCallback):
        def on_step_end(self, args: object, state: Any, control: object, **_: object) -> None:
            if state.is_world_process_zero:
                _catch_up(monitor, state.global_step)

    return MonitorCallback()


def _catch_up(monitor: Monitor, step: int) -> None:
    """Step once if the optimizer has stepped: with accumulated gradients most batches do not."""
    if step > monitor.steps:
        monitor.steps = step - 1
        monitor.step()
