"""Nothing that the paper numbers is left out, and what the list names is there."""

import ast
import importlib
from pathlib import Path

import pytest

from skipglass.paper import CLAIMS
from skipglass.paper.coverage import COVERAGE, Part, coverage_table

TESTS = Path(__file__).parents[1]
EQUATIONS = range(1, 51)
OTHERS = (
    *("A1", "A2", "A3", "A4", "Claim 1", "Claim 2", "Claim 3"),
    *(f"Definition {k}" for k in range(1, 5)),
    *(f"Lemma {k}" for k in range(1, 5)),
    *(f"Theorem {k}" for k in range(1, 6)),
    *(f"Fig. 1({letter})" for letter in "abcdef"),
    *("Fig. 2", "Fig. 3"),
)
"""What the paper numbers, beside its equations."""


def test_no_equation_lemma_theorem_or_figure_is_missing_or_named_twice():
    assert sorted(number for part in COVERAGE for number in part.numbers) == list(EQUATIONS)
    assert sorted(other for part in COVERAGE for other in part.others) == sorted(OTHERS)


@pytest.mark.parametrize("part", COVERAGE, ids=lambda part: part.name)
def test_what_it_names_exists(part):
    assert part.claims
    assert set(part.claims) <= {claim.name for claim in CLAIMS}
    module, name = f"skipglass.{part.code}".rsplit(".", 1)
    assert callable(getattr(importlib.import_module(module), name))
    file, function = part.test.split("::")
    found = ast.walk(ast.parse((TESTS / file).read_text()))
    assert function in {node.name for node in found if isinstance(node, ast.FunctionDef)}


def test_the_table_has_a_row_for_each_part():
    table = coverage_table().splitlines()
    assert len(table) == len(COVERAGE) + 2
    assert Part((1, 9, 10, 11), ("Lemma 1",), (), "", "").name == "Eqs. 1, 9-11, Lemma 1"
