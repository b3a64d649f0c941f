"""The claims about the network as a sum over paths: Eq. 9, Lemmas 1-3, Eqs. 14-15, and slips of the paper in them."""

from functools import partial

import numpy as np
import xarray as xr

from skipglass.paper.finding import Claim, Finding, Recordings, either, listed
from skipglass.paper.readings import census, distance, measured, reading_of
from skipglass.theory import DepthEnsemble, fit

__all__ = ["LEMMA_CLAIMS"]

EXACT = 1e-12  # float64, relative
CLOSE = 0.05  # total variation that still counts as the reading: our choice
ERRORS = 4.0  # standard errors, 40 numbers a network


def equation_9(recordings: Recordings) -> Finding:
    """The sum over listed paths is the forward pass."""
    data = recordings["lemmas"]
    return _exact(data.path_sum, "|Σ over paths - Y| / max |Y|")


def lemma_1(recordings: Recordings) -> Finding:
    """The sum over configurations is the forward pass, and each has ψ_r/Λ^r copies."""
    data = recordings["lemmas"]
    sums = _exact(data.configuration_sum, "|Σ over configurations - Y| / max |Y|")
    uneven = float(data.uneven.max())
    text = f"{sums.measured}; each configuration has ψ_r/Λ^r copies within {uneven:.2g} of that"
    return Finding(sums.verdict if uneven <= EXACT else "fails", text, sums.seeds)


def lemma_2_lower(recordings: Recordings) -> Finding:
    """E[ξ²] ≥ (ψ_r/Λ^r)²/d, with equality for evenly spread copies."""
    data = recordings["lemmas"]
    covered = _covered(data)
    d = data.attrs["inputs"]
    even = covered.isel(placement=[k for k, name in enumerate(covered.placement.values) if "evenly" in str(name)])
    attained = float(abs(even[["low", "high"]] * d - 1).to_dataarray().max())
    least = float(covered.low.min()) * d
    thrown = covered["mean"].sel(placement="copies thrown at random").mean("draw") * d - 1
    text = (
        f"E[ξ²] over the bound: at least {least:.6g}; within {attained:.2g} of 1 where copies are evenly spread; above "
        f"it by {listed([f'{v:.3g}' for v in thrown.values])} at r = {listed(thrown.length)} where they are thrown at "
        "random. The proof prints p where it means d, the number of inputs"
    )
    return Finding("holds" if least >= 1 - EXACT and attained <= EXACT else "fails", text, _draws(data))


def lemma_2_upper(recordings: Recordings) -> Finding:
    """E[ξ²] ≤ (ψ_r/Λ^r)², with equality where all copies start from one input."""
    data = recordings["lemmas"]
    largest = float(_covered(data).high.max())
    one = data.sel(placement="all from one input")
    attained = float(abs(one[["low", "high"]] - 1).to_dataarray().max())
    text = f"E[ξ²] over the bound: at most {largest:.6g}; within {attained:.2g} of 1 where all copies are of one input"
    return Finding("holds" if largest <= 1 + EXACT and attained <= EXACT else "fails", text, _draws(data))


def lambda_equals_n(recordings: Recordings) -> Finding:
    """What makes Lemma 2's lower end exact: how the weights stand, not Λ = n."""
    data = recordings["lemmas"]
    off = {str(name): _off(data, name) for name in data.placement.values if "Λ" in str(name)}
    even = max(value for name, value in off.items() if "evenly" in name)
    text = "largest relative deviation of E[ξ²] from the lower bound: "
    text += "; ".join(f"{name}: {value:.2g}" for name, value in off.items())
    if even > EXACT:
        return Finding("fails", text, _draws(data))
    shuffled = max(value for name, value in off.items() if "evenly" not in name)
    verdict = "holds" if shuffled <= EXACT else "holds when every unit sends each weight out equally often"
    return Finding(verdict, text + ". Any Λ that divides n will do", _draws(data))


def dependent_inputs(recordings: Recordings) -> Finding:
    """Lemma 2's lower bound for inputs that correlate."""
    values = recordings["lemmas"].correlated
    text = "E[ξ²] over the lower bound, evenly spread copies, inputs correlated by c: " + "; ".join(
        f"{float(v):.3g} at c = {float(v.input_correlation):g}" for v in values
    )
    if float(values.min()) >= 1 - EXACT:
        verdict = "holds"
    else:
        fine = bool((values.where(values.input_correlation >= 0, drop=True) >= 1 - EXACT).all())
        verdict = "holds when no two inputs correlate negatively" if fine else "fails"
    return Finding(verdict, text + ". Its proof takes them uncorrelated", "exact")


def independent_couplings(recordings: Recordings) -> Finding:
    """The ξ of different configurations as independent variables (A1), at Lemma 2's lower end (A3)."""
    data = recordings["lemmas"]
    even = data.sel(placement="evenly spread, Λ = n")
    free = bool((data["rank"].max("draw") >= data.configurations).all())
    text = (
        f"with evenly spread copies the {int(even.configurations.max())} ξ of one length have a covariance of rank "
        f"{int(even['rank'].max())}, any two correlate by {float(even.correlation.min()):.3g}; wherever weights "
        f"stand, the rank is at most d = {data.attrs['inputs']} (found {int(data['rank'].max())})"
    )
    return Finding("holds" if free else "fails", text, _draws(data))


def lemma_3(recordings: Recordings, kind: str) -> Finding:
    """A loss averaged over gates is C_1 + C_2 E[Y]: where no gates bring it to its kink."""
    data = recordings["lemmas"]
    losses = data.isel(loss=[k for k, name in enumerate(data.loss.values) if str(name).startswith(kind)])
    apart = losses.gap.where(losses.reached == 0)
    far = losses.isel(scale=-1)
    text = f"|E[L] - (C_1 + C_2 E[Y])|/E[L]: at most {float(apart.max()):.2g} where the kink is never reached"
    for name in losses.loss.values:
        one = far.sel(loss=name)
        text += (
            f"; {name}: {float(one.gap.mean()):.2g} ± {float(one.gap.std(ddof=1)):.2g} at C = {float(far.scale):g}, "
            f"where {float(one.reached.mean()):.0%} of gates reach it"
        )
    seeds = f"{data.sizes['seed']} networks a scale, all {data.attrs['patterns']} patterns of gates"
    if float(losses.gap.max()) <= EXACT:
        return Finding("holds", text, seeds)
    if not bool(apart.notnull().any()) or float(apart.max()) > EXACT:
        return Finding("fails", text, seeds)
    condition = {"hinge": "no gates bring Y_x Y to 1", "absolute": "|Y| never exceeds |Y_x|"}[kind]
    return Finding(f"holds when {condition}", text, seeds)


def positive_constants(recordings: Recordings) -> Finding:
    """C_2 > 0, and constant: it is -Y_x times the probability of a margin above 0."""
    slope = recordings["lemmas"].slope
    ends = slope.mean("seed").isel(scale=[0, -1])
    text = "C_2 of the hinge: " + "; ".join(
        f"{float(row[0]):+.2f} to {float(row[1]):+.2f} for Y_x = {int(row.label):+d}"
        for row in ends.transpose("label", "scale")
    )
    text += f", as C goes from {float(ends.scale[0]):g} to {float(ends.scale[-1]):g}: it turns with the label"
    return Finding("holds" if bool((slope > 0).all()) else "fails", text, f"{slope.sizes['seed']} networks")


def whole_number(recordings: Recordings) -> Finding:
    """Theorem 1 assumes pβ/(1+β) whole: just then the peak is not unique."""
    data = recordings["lemmas"]
    gap = float(data.tie.max())
    text = f"|ln ε_(k+1)/ε_k| ≤ {gap:.2g} at β = k/(p-k), for every k below p = {data.attrs['tie_depth']}"
    return Finding("fails" if gap <= 1e-9 else "holds", text + "; harmless as p → ∞", "exact")


def without_field(recordings: Recordings) -> Finding:
    """What Eq. 15 drops where its second line starts from r = 2: ε_1²."""
    dropped = recordings["lemmas"].dropped
    text = "ε_1², dropped: " + "; ".join(f"{float(v):.2g} at {v.ensemble.item()}" for v in dropped)
    small = [str(v.ensemble.item()) for v in dropped if float(v) < 0.01]
    verdict = "holds" if len(small) == dropped.size else f"holds when {either(small)}" if small else "fails"
    return Finding(verdict, f"{text}. Kept, it is a field that makes landscapes trivial below β_c ≈ 1/p", "exact")


def network_reading(recordings: Recordings, networks: tuple[str, ...]) -> Finding:
    """ε_r² measured on networks against their reading: in its error, and close."""
    data = recordings["readings"]
    fine, worst, score = {}, dict.fromkeys(networks, 0.0), 0.0
    for beta in data.beta.values.tolist():
        agree = []
        for network in networks:
            power = data.power.sel(network=network, beta=beta)
            away, z = distance(power, beta, reading_of(network)), _score(power, beta, reading_of(network))
            agree.append(away <= CLOSE and z <= ERRORS)
            worst[network], score = max(worst[network], away), max(score, z)
        fine[beta] = all(agree)
    good = [beta for beta, yes in fine.items() if yes]
    verdict = (
        "holds"
        if len(good) == len(fine)
        else f"holds when β is {either(f'{beta:g}' for beta in good)}"
        if good
        else "fails"
    )
    text = f"β (or b) = {listed(fine)}: total variation of ε_r² from the {reading_of(networks[0])} reading at most "
    text += "; ".join(f"{value:.2g} ({name})" for name, value in worst.items())
    return Finding(verdict, f"{text}; largest deviation {score:.2g} standard errors", f"{data.sizes['seed']} networks")


def coherent_reading(recordings: Recordings) -> Finding:
    """Eqs. 14-15 on networks with A2-A4, and how far Λ may grow."""
    found = network_reading(recordings, ("redundant, mean gates", "redundant, drawn gates"))
    data = recordings["readings"]
    rows = {int(u): distance(data.by_unique.sel(unique=u), 1.0, "coherent") for u in data.unique.values[-3:]}
    further = ", ".join(f"{value:.2g} at Λ = {u}" for u, value in rows.items())
    text = f"{found.measured}. Λ = {data.attrs['unique']} weights with Σ w = √Λ C, n = {data.attrs['width']}"
    text += f"; drawn gates at β = 1: {further}"
    return Finding(found.verdict, text, found.seeds)


def alignment(recordings: Recordings) -> Finding:
    """A2-A4 and β fix ε_r: unless Σ w is what it is on average over the sphere."""
    data = recordings["readings"]
    s = abs(data.alignment)
    off = float(abs(data.fitted / s - 1).max())
    text = (
        f"β fitted to networks whose Λ = {data.attrs['unique']} weights are uniform on their sphere, over ρnC/√Λ: from "
        f"{float(data.fitted.min()):.2g} to {float(data.fitted.max()):.2g}; it is |s| = |Σ w|/(√Λ C) within {off:.2g}"
    )
    fixed = float(abs(data.fitted - 1).max()) <= CLOSE
    return Finding("holds" if fixed else "holds when |Σ w| = √Λ C", text, f"{data.sizes['seed']} networks")


def relu_branch(recordings: Recordings) -> Finding:
    """Eq. 8 itself: against both readings, and with β fitted."""
    networks = ("redundant, Eq. 8", "independent, Eq. 8")
    verdicts = [network_reading(recordings, (name,)).verdict for name in networks]
    data = recordings["readings"]
    text = []
    for name in networks:
        rows = [(beta, data.power.sel(network=name, beta=beta)) for beta in data.beta.values.tolist()]
        both = {
            reading: [distance(power, beta, reading) for beta, power in rows] for reading in ("coherent", "independent")
        }
        fits = [fit(data.length.values, measured(power)[0], census(), "coherent") for _, power in rows]
        left = [float(np.abs(f.measured - f.predicted).sum() / 2) for f in fits]
        ratios = [f.beta / beta for f, (beta, _) in zip(fits, rows, strict=True)]
        text.append(
            f"{name}: total variation from the coherent reading {_range(both['coherent'])}, from the independent one "
            f"{_range(both['independent'])}; coherent with β fitted {_range(left)}, at {_range(ratios)} times β"
        )
    if all(v == "holds" for v in verdicts):
        verdict = "holds"
    else:
        verdict = "fails" if all(v == "fails" for v in verdicts) else "holds when weights or β are chosen"
    note = "redundant weights open their gates together, so that ρ is 1 and β is n C/√Λ"
    return Finding(verdict, "; ".join([*text, note]), f"{data.sizes['seed']} networks")


def _exact(errors: xr.DataArray, what: str) -> Finding:
    worst = float(errors.max())
    count = f"{errors.sizes['seed']} draws for each of {errors.sizes['network']} networks"
    return Finding("holds" if worst <= EXACT else "fails", f"{what} at most {worst:.2g}", count)


def _covered(data: xr.Dataset) -> xr.Dataset:
    """The placements in which each configuration has its ψ_r/Λ^r copies, as Lemma 2 assumes."""
    return data.isel(placement=[k for k, name in enumerate(data.placement.values) if "shuffled" not in str(name)])


def _off(data: xr.Dataset, placement: object) -> float:
    chosen = data.sel(placement=placement)[["low", "high"]] * data.attrs["inputs"]
    return float(abs(chosen - 1).to_dataarray().max())


def _draws(data: xr.Dataset) -> str:
    return f"{data.sizes['draw']} placements of each kind"


def _score(power: xr.DataArray, beta: float, reading: str) -> float:
    """The largest deviation of ε_r² in standard errors, rounding left out."""
    square, error = measured(power)
    off = np.abs(square - DepthEnsemble(square.size, beta, reading).weights ** 2)
    return float((off / np.maximum(error, np.where(off <= EXACT, np.inf, 1e-300))).max())


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low}..{high}"


HINGE, ABSOLUTE = partial(lemma_3, kind="hinge"), partial(lemma_3, kind="absolute")
INDEPENDENT = partial(network_reading, networks=("independent, drawn gates",))
RELU_FIRST = partial(network_reading, networks=("independent, ReLU first",))

LEMMA_CLAIMS = (
    Claim("Eq. 9", "The output is a sum over paths of input × gates × weights.", equation_9, "lemmas"),
    Claim("Lemma 1", "With Λ unique weights, evenly spread, it is a sum over configurations.", lemma_1, "lemmas"),
    Claim("Lemma 2, lower", "E[ξ²] ≥ (ψ_r/Λ^r)²/d, reached with evenly spread copies.", lemma_2_lower, "lemmas"),
    Claim("Lemma 2, upper", "E[ξ²] ≤ (ψ_r/Λ^r)².", lemma_2_upper, "lemmas"),
    Claim("Below Lemma 2", "The lower bound is exact when Λ = n.", lambda_equals_n, "lemmas"),
    Claim("Lemma 2, slip", "Lemma 2 holds for dependent inputs too (below Eq. 12).", dependent_inputs, "lemmas"),
    Claim(
        "A1 with A3, slip",
        "Evenly spread copies (A3) leave independent couplings (A1).",
        independent_couplings,
        "lemmas",
    ),
    Claim("Eqs. 14-15", "With A2-A4 the length-r part of Y has variance ∝ ε_r².", coherent_reading, "readings"),
    Claim("A2-A4, slip", "A2-A4 fix ε_r: of the weights only C and Λ count.", alignment, "readings"),
    Claim("Eq. 15, Λ = N", "Independent weights: ε_r² ∝ C(p-1, r-1) b^(2r), b² = ρnC².", INDEPENDENT, "readings"),
    Claim("Eq. 15, ReLU first", "The same where the ReLU comes before the matrix.", RELU_FIRST, "readings"),
    Claim("Eq. 15 on Eq. 8", "The ε_r describe Eq. 8 itself, its ReLU last.", relu_branch, "readings"),
    Claim("Eq. 15, slip", "The sum may start from r = 2 (its second line).", without_field, "lemmas"),
    Claim("Lemma 3, hinge", "The mean hinge loss is C_1 + C_2 E[Y].", HINGE, "lemmas"),
    Claim("Lemma 3, absolute", "The mean absolute loss is C_1 + C_2 E[Y].", ABSOLUTE, "lemmas"),
    Claim("Lemma 3, slip", "C_1 and C_2 are positive constants.", positive_constants, "lemmas"),
    Claim("Theorem 1, slip", "With pβ/(1+β) a whole number ε_r has one peak.", whole_number, "lemmas"),
)
