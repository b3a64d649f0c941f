"""One small reproduction for all tests of the paper's page: two seeds, two epochs, real training."""

import pytest
from rich.progress import Progress

from skipglass.paper import Options, measure, reproduce, write_report
from skipglass.paper.reproduce import CHAPTERS


@pytest.fixture(scope="session")
def measured_folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reproduction")
    with Progress(disable=True) as progress:
        measure(path, ["theorems", "figure1"], Options(seeds=3, epochs=2), progress=progress)
    return path


@pytest.fixture(scope="session")
def folder(measured_folder):
    """With the page; the figures are the slow part, and are drawn in the tests of the command."""
    with Progress(disable=True) as progress, pytest.MonkeyPatch.context() as patch:
        for draw in ("save_figures", "save_grid"):
            patch.setattr(reproduce, draw, lambda *_: None)
        write_report(measured_folder, ["theorems", "figure1"], progress=progress)
    return measured_folder


@pytest.fixture(scope="session")
def recordings(measured_folder):
    places = [chapter for chapter in CHAPTERS if set(chapter.figures) & {"theorems", "figure1"}]
    found = [chapter.load(measured_folder / "recordings") for chapter in places]
    return {k: v for each in found for k, v in each.items()}
