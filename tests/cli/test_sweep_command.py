"""`skipglass sweep`: its table, its JSON, Ctrl-C, and one line for a mistake."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from skipglass.record import load

SMALL = [
    "--separations", "8", "--rates", "0.05,0.2", "--variants", "paper-after,none", "--depths", "2", "--seeds", "2",
    "--epochs", "1", "--width", "4",
]  # fmt: skip


def test_ctrl_c_keeps_finished_cells_and_the_same_command_goes_on(skipglass, start, tmp_path):
    """The signal goes to the whole group, as a terminal sends it: workers too."""
    process = start("sweep", "--out", tmp_path, *SMALL, "--workers", 2, start_new_session=True)
    while not list((tmp_path / "cells").glob("[!.]*.nc")) and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").glob("*.nc")}
    assert process.returncode == 130, err
    assert "the same command goes on" in err
    assert "Traceback" not in err
    assert not (tmp_path / "recordings" / "sweep.nc").exists()
    status, out, err = skipglass("sweep", "--out", tmp_path, *SMALL, "--workers", 1, "--json")
    assert status == 0, err
    printed, recording = json.loads(out), load(tmp_path / "recordings" / "sweep.nc", "sweep")
    assert [cell["cell"] for cell in printed["cells"]] == recording.cell.values.tolist()
    assert printed["cells"][1]["effective_depth"] == pytest.approx(
        recording.effective_depth[1, [0, -1]].mean("seed").values, rel=1e-5
    )
    assert printed["cells"][3]["multiplier"] == [None, None]
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())
    assert (tmp_path / "figures" / "map.png").is_file()
    shutil.rmtree(tmp_path / "cells")
    before = (tmp_path / "recordings" / "sweep.nc").read_bytes()
    status, _, err = skipglass("sweep", "--out", tmp_path, *SMALL, "--width", 5)
    assert status == 2
    assert "width = 4, asked for is 5" in err
    assert (tmp_path / "recordings" / "sweep.nc").read_bytes() == before


def test_what_draws_the_map_is_asked_for_before_training(tmp_path):
    code = "import sys; sys.modules['vl_convert'] = None; from skipglass.cli.main import main; main()"
    command = [sys.executable, "-c", code, "sweep", "--out", str(tmp_path), *SMALL]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "skipglass[page]" in ended.stderr) == (2, True), ended.stderr
    assert not list(tmp_path.rglob("*.nc"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variants", "batch-befor"], "did you mean 'batch-before'"),
        (["--depths", "3,x"], "a list of numbers"),
        (["--workers", "2", "--cluster", "tcp://127.0.0.1:1"], "one of them"),
        (["--cluster", "tcp://127.0.0.1:1"], "cannot be reached"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_line_and_status_2(skipglass, arguments, words, tmp_path):
    status, out, err = skipglass("sweep", "--out", tmp_path, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("skipglass: ")
    assert words in err
    assert err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
