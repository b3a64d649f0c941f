"""The house: folders import only what stands above them, and importing the package stays light."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import skipglass

ORDER = [
    "record",
    "theory",
    "data",
    "models",
    "report",
    "glass",
    "graph",
    "paths",
    "scales",
    "watch",
    "training",
    "paper",
    "cli",
]
ROOT = Path(skipglass.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)


MODULES = {
    ".".join(["skipglass", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}


def imported_names(path: Path) -> set[tuple[str, str]]:
    """(module, name) of every import from the package, also those inside functions and for type checkers."""
    froms = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    return {(n.module, a.name) for n in froms if n.module and n.module.startswith("skipglass") for a in n.names}


def test_no_files_import_each_other_in_a_circle():
    """`graphlib` raises CycleError, which names the circle."""
    files = {
        module: {f"{m}.{name}" if f"{m}.{name}" in MODULES else m for m, name in imported_names(path)} - {module}
        for module, path in MODULES.items()
    }
    assert set(graphlib.TopologicalSorter(files).static_order()) >= set(MODULES)


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_nothing_private_is_imported_from_another_file(path):
    assert not [name for module, name in imported_names(path) if name.startswith("_") and name != "__version__"]


def imported_folders(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("skipglass"):
            _, *rest = node.module.split(".")
            names |= {rest[0]} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("skipglass.")}
    return names & set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_folder_imports_only_folders_above_it(path):
    own = path.relative_to(ROOT).parts[0]
    allowed = set(ORDER[: ORDER.index(own) + 1])
    assert imported_folders(path) <= allowed


def test_every_folder_has_its_place():
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} <= set(ORDER)


@pytest.mark.parametrize(
    "module", ["skipglass", "skipglass.cli.main", "skipglass.record", "skipglass.theory", "skipglass.training"]
)
def test_importing_loads_no_torch(module):
    heavy = "{'torch', 'xarray', 'pandas', 'matplotlib'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_record_and_theory_folders_never_import_torch():
    for path in FILES:
        if path.relative_to(ROOT).parts[0] in ("record", "theory"):
            assert "torch" not in {
                name.split(".")[0]
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
            }
