"""Ctrl-C in a training of the paper: no truncated one passes for finished."""

import pytest
from rich.progress import Progress

from skipglass import record
from skipglass.paper import Options, figure1, survey
from skipglass.paper.drift_runs import Run, drift_run
from skipglass.paper.experiment import measure
from skipglass.training import Interrupted, train


@pytest.mark.usefixtures("stopped")
def test_the_survey_is_not_made_of_it():
    with pytest.raises(KeyboardInterrupt):
        survey.survey(survey.GRID[:1])


def test_the_drift_is_not_recorded_of_it():
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drift_run(Run("digits", depth=3, width=4, epochs=2, seeds=1), on_epoch=interrupt)


def test_figure_1_trains_again_what_was_stopped(tmp_path, monkeypatch):
    """A recording that was left by Ctrl-C has all the settings of the run, and fewer epochs."""
    monkeypatch.setattr(figure1, "RUNS", dict(list(figure1.RUNS.items())[:1]))
    (name,) = figure1.RUNS

    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as early:
        train(figure1.settings_of(name, seeds=2, epochs=2), on_epoch=interrupt)
    path = record.save(early.value.recording, tmp_path / f"{name}.nc", kind="training")
    measure([figure1.FIGURE1], tmp_path, Options(seeds=2, epochs=2, resume=True), Progress(disable=True))
    assert record.load(path).attrs["epochs_done"] == 2
