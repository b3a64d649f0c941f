"""Figure 1's panels show what was recorded, in the settings that the committed survey chose."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from skipglass.paper import figure1, figure1f, survey
from skipglass.record import load
from skipglass.theory import DepthEnsemble, complexity

SURVEY = Path(__file__).parents[2] / "results" / "figure1_survey.nc"


@pytest.fixture(scope="module")
def table():
    return load(SURVEY, kind="survey")


@pytest.mark.parametrize("run", figure1.RUNS)
def test_the_settings_are_those_the_survey_chose(run, table):
    panel, task, which = run.removeprefix("figure1").split("-")
    choose = {"nearest": survey.nearest, "contrary": survey.contrary}[which]
    if task == "caption":
        # the settings of the ten Gaussians, so that the two tasks can be compared
        assert figure1.RUNS[run] == choose(table, panel, "gaussians") | survey.CAPTION
    else:
        assert figure1.RUNS[run] == choose(table, panel, task)


def test_the_survey_covers_its_grid(table):
    assert table.sizes == {"run": len(survey.GRID), "seed": 3, "quarter": 5}
    for row, (panel, settings) in enumerate(survey.GRID):
        assert str(table.panel.values[row]) == panel
        assert float(table.learning_rate[row]) == settings.learning_rate
        assert (table.experiment.values[row] == "caption") == (settings.classes == 50)


def test_the_nearest_setting_rises_most_steadily_by_the_definition(table):
    for panel, tasks in {"d": ("gaussians", "digits", "caption"), "e": ("gaussians", "digits")}.items():
        for task in tasks:
            best, best_rise, lowest, lowest_end = None, -np.inf, None, np.inf
            for row, (its_panel, settings) in enumerate(survey.GRID):
                value = table.value.values[row]
                if its_panel != panel or (table.experiment.values[row] != task):
                    continue
                if not np.isfinite(value).all() or not (table.accuracy.values[row] > 0.5).all():
                    continue
                curve = value.mean(0)
                if min(np.diff(curve)) > best_rise:
                    best, best_rise = settings, min(np.diff(curve))
                if curve[-1] - curve[0] < lowest_end:
                    lowest, lowest_end = settings, curve[-1] - curve[0]
            for chosen, settings in [
                (survey.nearest(table, panel, task), best),
                (survey.contrary(table, panel, task), lowest),
            ]:
                assert all(getattr(settings, name) == value for name, value in chosen.items())


def test_a_survey_is_made_of_real_trainings():
    from dataclasses import replace

    from skipglass.training import total_norm, train

    panel, settings = [pair for pair in survey.GRID if pair[0] == "e"][-1]
    settings = replace(settings, epochs=1, experiment="digits")
    table = survey.survey([(panel, settings)])
    recording = train(settings)
    norm = total_norm(recording).values
    np.testing.assert_allclose(table.value.values[0, :, -1], norm[-1] / norm[0])


def test_histograms_are_the_ensembles():
    panels = figure1.histograms()
    for panel, beta in zip(panels, (0.1, 0.5, 2.0), strict=True):
        e = DepthEnsemble(100, beta)
        np.testing.assert_array_equal(panel.series[0].y, e.weights)
        assert panel.rules[0].value == e.peak


def test_the_multiplier_panel_is_the_recording(recordings):
    run = figure1.runs_of("d")[0]
    recording = recordings[run]
    panel = figure1.multiplier_panel(run, recording)
    assert panel.names[0] == "0"
    for series in panel.series:
        row = int(np.argmin(abs(recording.epoch.values - float(series.name))))
        values = recording.multiplier_magnitude.values[row]
        np.testing.assert_allclose(series.y, values.mean(0))
        if series is panel.series[-1]:
            np.testing.assert_allclose(series.high - series.y, values.std(0, ddof=1), atol=1e-12)
        else:
            assert series.low is None
    assert "3 seeds" in panel.note


def test_the_norm_panel_is_the_recording(recordings):
    runs = figure1.runs_of("e", "digits")
    panel = figure1.norm_panel("digits", {run: recordings[run] for run in runs})
    for run, series in zip(runs, panel.series, strict=True):
        norm = np.sqrt((recordings[run].weight_norm.values ** 2).sum(-1))
        growth = norm / norm[0]
        np.testing.assert_allclose(series.y, growth.mean(1))
        np.testing.assert_allclose(series.low, growth.min(1))
        np.testing.assert_allclose(series.high, growth.max(1))


def test_figure_1f_is_eq_33_and_rises():
    panel = figure1f.complexity_panel()
    for series, p in zip(panel.series, (10, 100), strict=True):
        assert (np.diff(series.y) > 0).all()
        k = len(series.x) // 2
        assert series.y[k] == complexity(DepthEnsemble(p, float(series.x[k])).mixture())


def test_with_the_field_the_landscape_is_trivial_below_the_threshold():
    panel = figure1f.field_panel()
    threshold = panel.rules[0].value
    curves = {series.name: series for series in panel.series}
    below = panel.series[0].x < threshold
    minima, saddles = curves["field kept, minima"].y, curves["field kept, saddles k = 1"].y
    assert np.allclose(minima[below], 0, atol=1e-12)
    assert (saddles[panel.series[0].x < 0.9 * threshold] < 0).all()  # near the threshold all rates vanish cubically
    assert (minima[panel.series[0].x > 1.1 * threshold] > 0).all()
    assert (curves["no field, all indices"].y > 0).all()


def test_finite_counts_approach_the_limit():
    panel = figure1f.finite_panel()
    *finite, limit = [series.y for series in panel.series]
    gaps = [np.abs(y - limit).max() for y in finite]
    assert all(b < a for a, b in itertools.pairwise(gaps))
    assert gaps[-1] < 0.02
