"""One small reproduction for all tests of the paper's page: two seeds, two epochs, real training."""

import pytest
from rich.progress import Progress

from skipglass.paper import Options, measure, write_report
from skipglass.paper.figure1_page import load_figure1
from skipglass.paper.theory_page import load_theorems


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("reproduction")
    with Progress(disable=True) as progress:
        measure(path, ["theorems", "figure1"], Options(seeds=3, epochs=2), progress=progress)
        write_report(path, ["theorems", "figure1"], progress=progress)
    return path


@pytest.fixture(scope="session")
def recordings(folder):
    return load_theorems(folder / "recordings") | load_figure1(folder / "recordings")
