"""Measuring, finding and loading recordings: the same for every experiment."""

import os

import pytest
import xarray as xr
from rich.progress import Progress

from skipglass import record
from skipglass.errors import StorageError
from skipglass.paper import experiment as experiments
from skipglass.paper.experiment import Experiment, Options, Recording, is_there


def constant(value, **attributes):
    return xr.Dataset({"value": value}, attrs=attributes)


def experiment(recordings, finds=None, **more):
    finds = finds or {"first": "number", "second": "number"}
    return Experiment(("numbers",), finds, lambda options, folder: recordings, lambda r, f: ([], {}), **more)


def measure(found, folder, workers=1, **options):
    with Progress(disable=True) as progress:
        experiments.measure([found], folder, Options(**options), progress, workers)


def numbers(first=1.0, second=2.0, **more):
    return experiment(
        {
            name: Recording("number", lambda tell, value=value: constant(value, size=3), **more)
            for name, value in (("first", first), ("second", second))
        }
    )


def test_what_is_measured_is_found_and_loaded(tmp_path):
    one = numbers()
    assert not one.is_recorded(tmp_path)
    measure(one, tmp_path)
    assert one.is_recorded(tmp_path)
    assert {name: float(data.value) for name, data in one.load(tmp_path).items()} == {"first": 1.0, "second": 2.0}


def test_other_processes_compute_and_what_lasts_stays_in_this_one(tmp_path):
    def where(tell):
        return constant(float(os.getpid()))

    lasting = Recording("number", where, lasting=True)
    one = experiment({"first": Recording("number", where), "second": Recording("number", where), "third": lasting})
    measure(one, tmp_path, workers=2)
    found = {name: int(record.load(tmp_path / f"{name}.nc").value) for name in ("first", "second", "third")}
    assert found["third"] == os.getpid()
    assert os.getpid() not in (found["first"], found["second"])


def test_it_is_measured_again_unless_the_user_resumes_or_it_lasts(tmp_path):
    measure(numbers(), tmp_path)
    measure(numbers(first=5.0), tmp_path, resume=True)
    assert float(record.load(tmp_path / "first.nc").value) == 1.0
    measure(numbers(first=5.0, lasting=True), tmp_path)
    assert float(record.load(tmp_path / "first.nc").value) == 1.0
    measure(numbers(first=5.0), tmp_path)
    assert float(record.load(tmp_path / "first.nc").value) == 5.0


def test_other_settings_are_measured_again_or_refused_before_anything_is_computed(tmp_path):
    measure(numbers(), tmp_path)
    measure(numbers(first=5.0, settings={"size": 4}), tmp_path, resume=True)
    assert float(record.load(tmp_path / "first.nc").value) == 5.0
    computed = []
    lasting = experiment(
        {
            "new": Recording("number", lambda tell: computed.append(1) or constant(0.0)),
            "second": Recording("number", lambda tell: constant(0.0), {"size": 4}, lasting=True),
        }
    )
    with pytest.raises(StorageError, match=r"second\.nc is of another run: it has size = 3, asked for is 4"):
        measure(lasting, tmp_path)
    assert not computed
    assert float(record.load(tmp_path / "second.nc").value) == 2.0


def test_ctrl_c_is_raised_and_what_is_finished_is_kept(tmp_path):
    def stopped(tell):
        raise KeyboardInterrupt

    one = experiment({"first": Recording("number", lambda tell: constant(1.0)), "second": Recording("number", stopped)})
    with pytest.raises(KeyboardInterrupt):
        measure(one, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["first.nc"]


def test_patterns_take_what_lies_there_and_what_is_missing_is_named(tmp_path):
    runs = experiment({}, {"run-*": "number"}, optional={"map": "number"})
    with pytest.raises(StorageError, match=r"no recording run-\*.nc; run skipglass reproduce numbers"):
        runs.load(tmp_path)
    for name in ("run-b", "run-a", "map"):
        record.save(constant(1.0), tmp_path / f"{name}.nc", kind="number")
    assert list(runs.load(tmp_path)) == ["run-a", "run-b", "map"]
    record.save(constant(1.0), tmp_path / "map.nc", kind="other")
    with pytest.raises(StorageError, match="'number' recording was asked for"):
        runs.load(tmp_path)


def test_recordings_that_do_not_go_together_are_refused(tmp_path):
    def check(recordings):
        raise StorageError("of one seed")

    measure(numbers(), tmp_path)
    with pytest.raises(StorageError, match="of one seed"):
        experiment({}, check=check).load(tmp_path)


def test_progress_is_told(tmp_path):
    def compute(tell):
        tell(1, 4)
        return constant(1.0)

    with Progress(disable=True) as progress:
        experiments.measure([experiment({"first": Recording("number", compute)})], tmp_path, Options(), progress)
        assert progress.tasks[0].total == progress.tasks[0].completed == 1


def test_what_is_kept_elsewhere_is_taken_where_there_is_none(tmp_path):
    long_runs, here = tmp_path / "results", tmp_path / "here"
    (long_runs / "numbers").mkdir(parents=True)
    here.mkdir()
    record.save(constant(3.0), long_runs / "numbers" / "first.nc", kind="number")
    kept = experiment({}, {"first": "number"}, kept="numbers")
    measure(kept, here)
    assert not kept.is_recorded(here)
    measure(kept, here, recorded=long_runs)
    assert float(kept.load(here)["first"].value) == 3.0
    record.save(constant(4.0), here / "first.nc", kind="number")
    measure(kept, here, recorded=long_runs)
    assert float(kept.load(here)["first"].value) == 4.0


def test_a_setting_that_older_recordings_do_not_tell_is_known(tmp_path):
    record.save(constant(1.0, size=3), tmp_path / "first.nc", kind="number")
    for changed, there in (("nothing", True), ("labels", False)):
        wanted = Recording("number", lambda tell: constant(0.0), {"changed": changed}, older={"changed": "nothing"})
        assert is_there(tmp_path / "first.nc", wanted) == there


def test_a_scratch_folder_goes_once_the_recording_is_there(tmp_path):
    scratch = tmp_path / "scratch"

    def compute(tell):
        scratch.mkdir()
        return constant(1.0)

    measure(experiment({"first": Recording("number", compute, scratch=scratch)}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["first.nc"]
