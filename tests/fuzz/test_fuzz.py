"""Random networks, each built with its truth: blocks, sides, participations and every share against gates."""

import json

import pytest
from grammar import WHOLE, check, draw, simple
from known import KNOWN, is_known
from parts import PARTS
from truth import Mark, Truth

NETWORKS, CHUNK = 200, 20
pytestmark = pytest.mark.filterwarnings("ignore:index_reduce")  # it is in beta


def described(seed, program, wrong):
    again = f"python tests/fuzz/run.py --seeds {seed}:{seed + 1}, or --program '{json.dumps(program)}' --seed {seed}"
    return "\n    ".join([f"seed {seed}", *wrong, again])


@pytest.mark.parametrize("first", range(0, NETWORKS, CHUNK))
def test_random_networks_are_labelled_as_their_authors_have_them(first):
    failures = []
    for seed in range(first, first + CHUNK):
        program = draw(seed)
        if wrong := check(program, seed):
            failures.append(described(seed, program, wrong))
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("name", PARTS)
def test_each_part_alone_is_labelled_as_its_docstring_says(name):
    choices = PARTS[name].choices
    for option, value in [("", None), *((k, v) for k, values in choices.items() for v in values[1:])]:
        term = {"part": name, **({option: value} if option else {})}
        program = simple(term)
        if "second input" in term.values():
            program["x"] = "pair"
        if not is_known(program):
            assert check(program, 0) == [], described(0, program, [])


def test_what_is_known_to_be_wrong_is_something_that_can_be_drawn():
    for known in KNOWN:
        choices = WHOLE if known.part == "network" else {**WHOLE, **PARTS[known.part].choices}
        assert all(value in choices[option] for option, value in known.options.items())


# a truth that is falsified must be noticed ---------------------------------------------------------------------------


def without_a_mark(true: Truth) -> None:
    del true.marks[0], true.participation[0], true.live[0]
    at = true.at
    true.at = lambda factors: at({k + 1: t for k, t in factors.items()})


def with_a_swapped_side(true: Truth) -> None:
    true.marks[0].side = 1 - true.marks[0].side


def with_another_shortcut(true: Truth) -> None:
    true.marks[0].shortcut = "projected"


def with_a_parallel_sum(true: Truth) -> None:
    true.marks[0].verdict = "parallel"


def with_another_gradient(true: Truth) -> None:
    at = true.at
    true.at = lambda factors: at({k: t * (1 + 1e-6) for k, t in factors.items()})


def with_another_participation(true: Truth) -> None:
    true.participation[0] += 1e-6


def with_a_doubt_due(true: Truth) -> None:
    true.asides.add("doubtful")


def with_samples_mixed(true: Truth) -> None:
    true.samples_apart = False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_a_mark, "extra"),
        (with_a_swapped_side, "side"),
        (with_another_shortcut, "shortcut"),
        (with_a_parallel_sum, "extra"),
        (with_another_gradient, "share"),
        (with_another_participation, "participation"),
        (with_a_doubt_due, "silent"),
        (with_samples_mixed, "samples"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("parts", [("residual",), ("residual", "shared"), ("decoder",)], ids="+".join)
def test_a_falsified_truth_is_noticed(parts, change, said):
    program = simple(*({"part": name} for name in parts))
    assert check(program, 1) == []
    assert said in {line.split(":")[0] for line in check(program, 1, change)}


def test_a_block_that_is_not_found_is_noticed():
    """The author marks a branch whose sum is no residual merge for the package, or is none at all."""

    def with_one_more(true: Truth) -> None:
        true.marks.append(Mark(place="nowhere"))
        true.participation.append(0.5)
        true.live.append(true.live[-1])

    assert any(line.startswith("missing") for line in check(simple({"part": "residual"}), 1, with_one_more))


def test_blocks_that_pass_on_nothing_are_told_apart():
    """The loss reads the last token, and the branch of the outer block is added to the first two."""
    inner = {"part": "residual", "shortcut": "largest"}
    outer = {"part": "residual", "way": "index_add", "inside": [inner]}
    assert check({**simple(outer), "loss": "last token"}, 6625) == []


def test_a_gate_on_the_shortcut_is_noticed(monkeypatch):
    import parts_sums

    monkeypatch.setattr(parts_sums, "add", lambda h, z, author, *_: author.branch(h, 1) + z)
    assert check(simple({"part": "residual"}), 1)
