"""What of the paper is treated where: every equation, definition, lemma, theorem and figure, with its claims and code.

The tests hold the list against the paper's numbers, and each name in it against what there is.
"""

from dataclasses import dataclass

__all__ = ["COVERAGE", "Part", "coverage_table"]


@dataclass(frozen=True)
class Part:
    """Some of the paper's statements that are treated together.

    Attributes
    ----------
    numbers
        Of its equations.
    others
        Whatever else it numbers.
    claims
        The rows of the table of claims that judge them.
    code
        What computes them, under ``skipglass``.
    test
        One that checks them, under ``tests``: file and function.
    """

    numbers: tuple[int, ...]
    others: tuple[str, ...]
    claims: tuple[str, ...]
    code: str
    test: str

    @property
    def name(self) -> str:
        """The statements in words."""
        equations = [f"Eq{'s' * (len(self.numbers) > 1)}. {_ranges(self.numbers)}"] if self.numbers else []
        return ", ".join((*equations, *self.others))


PATHS, DRIVE = "paper/test_lemmas.py::", "paper/test_driving_force.py::"
JUDGED = "paper/test_theory_claims.py::test_the_verdicts_of_what_is_committed"
MEASURED_AGAIN = f"{DRIVE}test_the_theorems_are_measured_again_and_hold"
NETWORKS_JUDGED = "paper/test_training_claims.py::test_a_counterfeit_turns_its_verdict"
HAMILTONIAN = "glass/test_hamiltonian.py::test_the_covariance_over_disorder_is_size_times_xi"
BOUND = "theory/test_complexity.py::test_the_papers_bound_50_is_false_and_what_it_proves_is_weaker"

COVERAGE = (
    Part((1, 9), ("Definition 1", "Definition 2"), ("Eq. 9",), "paper.path_sum.path_sum",
         f"{PATHS}test_the_sums_are_the_forward_pass_written_out"),
    Part((2, 11), (), ("Eqs. 2, 11", "Gates of paths"), "models.GatedMLP",
         "models/test_gated_mlp.py::test_drawn_gates_are_open_with_their_probability"),
    Part((3, 16), ("Lemma 3",), ("Lemma 3", "Lemma 3, constants"), "paper.lemmas.measure",
         JUDGED),
    Part((4,), ("A2", "A4"), ("Eqs. 14, 15",), "models.unique_weights",
         "models/test_gated_mlp.py::test_unique_weights_lie_on_their_sphere"),
    Part((), ("A1", "A3"), ("Below Lemma 2",), "models.evenly_spread",
         "models/test_gated_mlp.py::test_every_unit_sends_each_value_out_equally_often"),
    Part((5, 6, 7, 28, 29, 30), (), ("Eqs. 5-7, 28-30",), "glass.SphericalGlass", HAMILTONIAN),
    Part((8,), (), ("Eq. 15 on Eq. 8",), "models.ResidualMLP",
         "models/test_residual_mlp.py::test_the_network_is_the_equation"),
    Part((10,), ("Lemma 1",), ("Lemma 1",), "paper.path_sum.configuration_sum",
         f"{PATHS}test_the_sums_are_the_forward_pass_written_out"),
    Part((12, 13, 36), ("Lemma 2",),
         ("Lemma 2", "Below Lemma 2"),
         "paper.path_sum.copies", f"{PATHS}test_the_list_holds_every_path_once"),
    Part((14, 15), (), ("Eqs. 14, 15", "Independent weights", "Eq. 15, second line"),
         "paper.readings.measure", JUDGED),
    Part((17,), (), ("Eq. 17", "Sec. 3, start"), "theory.DepthEnsemble",
         "theory/test_ensemble.py::test_the_paper_s_initialisation_peaks_below_half_depth"),
    Part((18, 37), ("Theorem 1",), ("Theorem 1",), "paper.theorems.theorems",
         "theory/test_ensemble.py::test_theorem_1_the_peak_converges_like_one_over_p"),
    Part((19, 38), ("Theorem 2",), ("Theorem 2", "Theorem 2, proof"), "paper.theorems.theorems",
         "theory/test_ensemble.py::test_theorem_2_the_mass_of_any_band_around_the_peak_tends_to_one"),
    Part((39,), (), ("Theorem 2, proof",), "theory.DepthEnsemble",
         "theory/test_ensemble.py::test_normalisation_is_a_legendre_polynomial"),
    Part((), ("Lemma 4", "Claim 1"), ("Lemma 4", "Claim 1"), "theory.peak_interval",
         "theory/test_ensemble.py::test_peak_interval_is_lemma_4"),
    Part((20, 21), (), ("Eq. 21", "Sec. 6, no assumptions"), "paths.output_split", JUDGED),
    Part((22,), ("Claim 3",), ("Sec. 4.1", "Abstract, start", "Claim 3", "Map, start"),
         "paper.recursion.second_moments",
         f"{DRIVE}test_untrained_networks_of_the_package_have_the_same_second_moments"),
    Part((), ("Claim 2",), ("Claim 2", "Map, depth", "Map, depth by λ"),
         "paths.participation", NETWORKS_JUDGED),
    Part((23, 24, 25, 40, 41, 42, 43, 44), ("Theorem 3",),
         ("Theorem 3", "Theorem 3, assumptions", "Theorem 3, condition", "Theorem 3, step",
          "Theorem 3, unskipped, steps", "Theorem 3, proof"), "scales.two_paths", MEASURED_AGAIN),
    Part((26, 27, 45, 46, 47), ("Theorem 4",), ("Theorem 4", "Theorem 4, prose"), "scales.drift",
         MEASURED_AGAIN),
    Part((31, 33), ("Definition 3",), ("Def. 3, Eq. 33",), "theory.complexity",
         "theory/test_complexity.py::test_a_pure_model_has_x_equal_to_p_minus_1"),
    Part((32,), ("Definition 4",), ("Def. 4, Eq. 32",), "theory.expected_critical_points",
         "paper/test_agreement.py::test_the_recording_holds_the_promise"),
    Part((34, 35, 48, 49, 50), ("Theorem 5",), ("Theorem 5", "Theorem 5, proof"), "paper.theorems.theorems", BOUND),
    Part((), ("Fig. 1(a)", "Fig. 1(b)", "Fig. 1(c)"), ("Fig. 1(a-c)",), "paper.figure1.histograms",
         "paper/test_figure1.py::test_histograms_are_the_ensembles"),
    Part((), ("Fig. 1(d)",), ("Fig. 1(d)", "Fig. 1(d), task", "Map, λ", "Fig. 1(d), first layer"),
         "paper.figure1.multiplier_panel", "paper/test_figure1.py::test_the_multiplier_panel_is_the_recording"),
    Part((), ("Fig. 1(e)",), ("Fig. 1(e)", "Map, norms"), "paper.figure1.norm_panel",
         "paper/test_figure1.py::test_the_norm_panel_is_the_recording"),
    Part((), ("Fig. 1(f)",), ("Fig. 1(f)",), "paper.landscape.landscape",
         "paper/test_figure1.py::test_figure_1f_is_eq_33_and_rises"),
    Part((), ("Fig. 2",), ("Fig. 2", "Fig. 2, drop", "Fig. 2, waver"), "scales.absorbed_norms",
         NETWORKS_JUDGED),
    Part((), ("Fig. 3",), ("Fig. 3, before", "Fig. 3, drop", "Fig. 3, cause"), "scales.multipliers",
         NETWORKS_JUDGED),
)  # fmt: skip
"""In the paper's order, what is treated together at its first."""


def coverage_table() -> str:
    """Return the list as a table in Markdown."""
    rows = [
        f"| {p.name} | {' · '.join(p.claims)} | `{p.code}` | `{p.test}` |\n".replace("|λ", "\\|λ") for p in COVERAGE
    ]
    return "| of the paper | claims | code | test |\n|---|---|---|---|\n" + "".join(rows)


def _ranges(numbers: tuple[int, ...]) -> str:
    """(1, 9, 10, 11) → "1, 9-11"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
