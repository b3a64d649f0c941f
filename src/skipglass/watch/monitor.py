"""Watch a network train: a fixed probe batch, remeasured on a schedule, with the training left as it is.

`Monitor.step` is called once after every training step. It evaluates at step 0 (when the monitor is made), at
1, 2, 5, 10, 20, 50, … below ``every``, as the first steps change most, and then at every multiple of ``every``.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError, StorageError
from skipglass.graph import UNITS, LossFunction, Target, Trace, arguments, eager, gathered
from skipglass.models import ResidualLayer
from skipglass.paths.moments import moments
from skipglass.paths.spectrum import spectrum
from skipglass.scales import copied
from skipglass.watch.probe import Probe, by_length, read_scales, scale_norms
from skipglass.watch.recording import IN_EVERY_MODE, MODES, Recording
from skipglass.watch.tensorboard import TensorBoard

__all__ = ["Monitor", "is_due"]

LOG = logging.getLogger("skipglass.watch")
EVERY = 100  # our choice: with a probe of 32 samples, below 1 % of a training with batches of 128
SPECTRA = 10  # evaluations from one spectrum to the next


def is_due(step: int, every: int) -> bool:
    """Tell whether a step is on the schedule: 0, 1, 2, 5, 10, 20, 50, … below ``every``, then its multiples.

    Examples
    --------
    >>> [step for step in range(301) if is_due(step, 100)]
    [0, 1, 2, 5, 10, 20, 50, 100, 200, 300]
    """
    if step >= every or step == 0:
        return step % every == 0
    leading = int(str(step)[0])
    return leading in {1, 2, 5} and step == leading * 10 ** (len(str(step)) - 1)


class Monitor:
    """Remeasure a probe batch while a network trains.

    An evaluation records, at its step: the norms of λ, of the weights and of the weights with batch norm absorbed, by
    layer; the loss; participation and branch-to-shortcut gain of each block; the effective depth, of the batch and of
    each sample; every so often the whole spectrum. The model runs eagerly, also beside a compiled loop, and is left as
    found: buffers, gradients, random numbers, modes. A training with a monitor has the same numbers as one without.

    The first evaluation, when the monitor is made, raises what is wrong with model or probe. Later ones never end a
    training: what fails is written to the log "skipglass.watch" and to the recording's notes.

    Parameters
    ----------
    model
        The network that trains; a compiled or distributed wrapper is looked into. Under several processes, watch in
        one of them; but in all of them where each holds only a part of the parameters (``fully_shard``, tensor
        parallel).
    probe
        (inputs, targets), as in `skipglass.paths.participation`; targets may be None. 32 samples are enough for a
        median, see the cost in ``benchmarks/bench_monitor.py``. Copies are kept.
    loss_fn
        loss_fn(outputs, targets); the default is that of `skipglass.measure`.
    every
        Training steps from one evaluation to the next.
    spectrum_every
        Training steps from one spectrum to the next, a multiple of ``every``; None takes 10 evaluations, 0 never
        measures it. The first evaluation has one.
    mode
        The statistics of batch norm: "frozen", the probe's own, held constant; "eval", the running ones, which lag
        behind the weights in the first steps; or "train", in which batch norm couples the samples. See
        `skipglass.watch.probe`. Of several, as ("eval", "frozen", "train"), the first is recorded whole, and of the
        others depth and participation, as ``effective_depth_frozen``; what they have in common is computed once.
        Absorbed norms always take the running statistics. A SyncBatchNorm of several processes takes statistics over
        all of them and waits for all: watched in one, it needs "eval".
    unit
        Of the spectrum: "blocks" or "weights".
    depths
        Whether every evaluation with a spectrum also records the depth by several measures, of the output, the weights
        and single paths too, in the first mode; see `skipglass.paths.depths` for what they are and cost.
    tensorboard
        A folder to write scalars to, for TensorBoard (extra "tensorboard").

    Raises
    ------
    InputError
        If an argument is out of range, or the probe cannot be measured.

    Examples
    --------
    >>> import torch
    >>> from skipglass.models import ResidualMLP
    >>> model = ResidualMLP(5, 3, depth=4, width=8, normalization="batch")
    >>> x, y = torch.randn(16, 5), torch.randint(3, (16,))
    >>> monitor = Monitor(model, probe=(x, y), loss_fn=torch.nn.functional.cross_entropy, every=2)
    >>> for _ in range(4):
    ...     _ = monitor.step()  # after each training step
    >>> data = monitor.recording.to_xarray()
    >>> data.step.values.tolist(), data.participation.dims
    ([0, 1, 2, 4], ('evaluation', 'block'))
    """

    def __init__(
        self,
        model: nn.Module,
        probe: tuple[object, object],
        loss_fn: LossFunction | None = None,
        *,
        every: int = EVERY,
        spectrum_every: int | None = None,
        mode: str | Sequence[str] = "frozen",
        unit: str = "blocks",
        depths: bool = False,
        tensorboard: str | Path | None = None,
    ) -> None:
        self.model = eager(model)
        if not isinstance(probe, (tuple, list)) or len(probe) != 2:
            raise InputError("probe must be (inputs, targets); targets may be None")
        # copies, as a loader may write the next batch into the same memory
        inputs = copied(probe[0])
        arguments(inputs)
        if any(isinstance(m, ResidualLayer) and m.weight.ndim > 2 for m in self.model.modules()):
            raise InputError("the model holds several seeds; watch a network of one")
        self.every = check.integer("every", every, 1)
        # a spectrum comes with every evaluation of its own schedule, a part of that of the others
        spectra = SPECTRA * every if spectrum_every is None else spectrum_every
        self.spectrum_every = check.integer("spectrum_every", spectra)
        if self.spectrum_every % self.every:
            raise InputError(f"spectrum_every must be a multiple of every = {every}, not {spectrum_every}")
        several = mode if isinstance(mode, (tuple, list)) else [mode]
        self.modes = tuple(check.choice("mode", one, MODES) for one in several)
        if not self.modes or len(set(self.modes)) < len(self.modes):
            raise InputError(f"mode must be one of {', '.join(MODES)}, or several that differ; found {mode!r}")
        self.mode = self.modes[0] if len(self.modes) == 1 else self.modes
        self.unit, self.depths = check.choice("unit", unit, UNITS), bool(depths)
        self.probe = Probe(self.model, inputs, copied(probe[1]), loss_fn, self.unit)
        self.board = None if tensorboard is None else TensorBoard(tensorboard)
        self.steps = 0
        settings = {name: getattr(self, name) for name in ("unit", "every", "spectrum_every")}
        self.recording = Recording(attributes={"mode": ", ".join(self.modes), **settings})
        # the graph's weights and batch norms are read once; every evaluation takes their norms
        # a model spread over several processes is gathered first, or refused before anything of it runs
        with gathered(self.model):
            self.scales, unread = read_scales(self.model, inputs)
            if unread:
                self._note(unread)
            self._add(self._measure({"step": 0}, strict=True))

    def __repr__(self) -> str:
        model = type(self.model).__name__
        return (
            f"Monitor({model}, mode {self.mode!r}, every {self.every} steps, now at {self.steps}: {self.recording!r})"
        )

    def step(self) -> bool:
        """Count one training step, and evaluate if it is due.

        Returns
        -------
        bool
            Whether it was.
        """
        self.steps += 1
        due = is_due(self.steps, self.every)
        if due:
            self.evaluate()
        return due

    def evaluate(self) -> None:
        """Evaluate now, whatever the schedule; a step that has been evaluated already is left."""
        if self.recording.rows and self.recording.rows[-1]["step"] == self.steps:
            return
        self._add(self._measure({"step": self.steps}))

    def observe(self, loss: Tensor, x: Target) -> None:
        """Record mean, variance and spectrum of the path length of a live training loss, before its backward pass.

        Costs some backward passes, see `skipglass.paths.cost`; the graph stays usable. A compiled model leaves no graph
        that could be read.

        Parameters
        ----------
        loss
            A scalar with a live graph.
        x
            What the model was called with, requiring a gradient.

        Raises
        ------
        InputError
            If the graph cannot be read.
        """
        # the graph is analysed once for both
        trace = Trace(loss, x, self.model)
        split, moment = spectrum(trace, unit=self.unit), moments(trace, unit=self.unit)
        seen = {"step": self.steps, "loss": float(loss.detach()), "mean": moment.mean, "variance": moment.variance}
        self.recording.observations.append({**seen, **by_length(split)})

    def state_dict(self) -> dict[str, Any]:
        """Return the steps counted and the recording, in plain types that ``torch.load(weights_only=True)`` takes."""
        return {"steps": self.steps, "every": self.every, "mode": self.mode, **self.recording.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a checkpoint ended; what was recorded since the monitor was made is forgotten.

        Parameters
        ----------
        state
            By `state_dict`, of a monitor with the same cadence and mode.

        Raises
        ------
        StorageError
            If it is none.
        """
        if not isinstance(state, dict):
            raise StorageError(f"the state of a monitor is a dictionary, not a {type(state).__name__}")
        # a recording of another cadence or mode cannot be continued
        for name in ("every", "mode"):
            if state.get(name) != getattr(self, name):
                raise StorageError(f"the state has {name} = {state.get(name)}, the monitor {getattr(self, name)}")
        if not isinstance(state.get("steps"), int):
            raise StorageError("the state holds no count of steps")
        self.recording.load_state_dict(state)
        self.steps = state["steps"]

    def save(self, path: str | Path) -> Path:
        """Write the recording; see `Recording.save`."""
        return self.recording.save(path)

    def _measure(self, row: dict[str, Any], *, strict: bool = False) -> dict[str, Any]:
        """Add to a row what is measured now; what fails is noted, or raised if ``strict``."""
        # each part on its own, so that one that fails leaves the others theirs
        known: dict[str, Any] = {}
        measures: dict[str, Callable[[], dict[str, Any]]] = {"": partial(scale_norms, self.model, self.scales)}
        measures |= {mode: partial(self._in_mode, mode, known) for mode in self.modes}
        if self.depths and self._spectrum_is_due():
            measures["several measures of depth"] = self._depths
        for mode, measure in measures.items():
            try:
                with gathered(self.model):
                    row |= measure()
            except Exception as error:  # a measurement must not end a training
                if strict:
                    raise
                where = f" in mode {mode!r}" if mode in self.modes and len(self.modes) > 1 else ""
                self._note(f"step {self.steps}: not measured{where}, {type(error).__name__}: {error}")
        return row

    def _in_mode(self, mode: str, known: dict[str, Any]) -> dict[str, Any]:
        """Measure the probe in one mode; only the first has spectra and is kept whole."""
        if mode == self.modes[0]:
            return self.probe.measure(mode, known, with_spectrum=self._spectrum_is_due())
        # of the other modes only what can be compared with the first
        values = self.probe.measure(mode, known)
        return {f"{name}_{mode}": values[name] for name in (*IN_EVERY_MODE, "blocks")}

    def _depths(self) -> dict[str, Any]:
        """The depth by several measures; what the network does not allow is noted once."""
        row, left = self.probe.depths(self.modes[0])
        for note in left:
            if note not in self.recording.notes:
                self._note(note)
        return row

    def _spectrum_is_due(self) -> bool:
        return self.spectrum_every > 0 and self.steps % self.spectrum_every == 0

    def _add(self, row: dict[str, Any]) -> None:
        self.recording.rows.append(row)
        if self.board is not None:
            try:
                self.board.write(row)
            except OSError as error:
                self._note(f"step {self.steps}: not written to TensorBoard, {error}")

    def _note(self, text: str) -> None:
        LOG.warning(text)
        self.recording.notes.append(text)
