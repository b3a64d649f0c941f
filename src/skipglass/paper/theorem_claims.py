"""The claims about path lengths and mixtures that are exact: Theorems 1, 2 and 5, Lemma 4, and what follows."""

from skipglass.paper.finding import Claim, Finding, Recordings, listed

__all__ = ["THEOREM_CLAIMS"]


def theorem_1(recordings: Recordings) -> Finding:
    """argmax_r ε_r / p → β/(1+β): at every depth within 1/p."""
    share = recordings["theorems"].peak_share
    limit = share.beta / (1 + share.beta)
    scaled = (abs(share - limit) * share.depth).max()
    verdict = "holds" if float(scaled) <= 1 + 1e-9 else "fails"
    measured = (
        f"|argmax/p - β/(1+β)| ≤ {float(scaled):.3g}/p for β = {listed(share.beta)}, "
        f"p = {int(share.depth.min())}..{int(share.depth.max())}"
    )
    return Finding(verdict, measured, "exact")


def theorem_2(recordings: Recordings) -> Finding:
    """Σ ε_r² outside a band around β/(1+β) falls with p and vanishes."""
    data = recordings["theorems"]
    outside = data.outside.transpose("beta", "depth")
    falls = bool((outside.diff("depth") <= 0).all()) and float(outside.isel(depth=-1).max()) < 1e-6
    worst = outside.max("beta")
    trend = ", ".join(f"{float(v):.2g} at p = {int(p)}" for p, v in zip(worst.depth, worst, strict=True))
    measured = f"Σ ε_r² further than {data.attrs['band']:.0%} from β/(1+β), largest over β: {trend}"
    return Finding("holds" if falls else "fails", measured, "exact")


def lemma_4(recordings: Recordings) -> Finding:
    """Every length 1..p is the peak for some β, and β is linear in C."""
    data = recordings["theorems"]
    hits = int((data.reached == data.wanted).sum())
    verdict = "holds" if hits == data.sizes["wanted"] else "fails"
    measured = f"β in the middle of [(k-1)/(p-k+1), k/(p-k)] has its peak at k for {hits} of "
    return Finding(verdict, measured + f"{data.sizes['wanted']} k at p = {data.attrs['lemma_depth']}", "exact")


def starts_shallow(recordings: Recordings) -> Finding:
    """Weights drawn with C = 1/√n make β = ρ < 1: the peak lies below half the depth (Sec. 3)."""
    start = recordings["theorems"].start
    start = start.transpose("gate", "depth")
    rows = "; ".join(
        f"ρ = {float(g):g}: " + ", ".join(f"{float(v):.3f}" for v in row)
        for g, row in zip(start.gate, start, strict=True)
    )
    measured = (
        f"argmax ε_r / p at p = {listed(start.depth)}: {rows}. With He's C = √(2/n) and ρ = 1/2 the coherent reading "
        "has β = 1/√2, the independent one b = 1: half the depth exactly. Λ = n is a convention"
    )
    return Finding("holds" if float(start[:, -1].max()) < 0.5 else "fails", measured, "exact")


def ends_deep(recordings: Recordings) -> Finding:
    """For large enough β the longest paths dominate: β ≥ p - 1 (Eq. 17)."""
    peak = recordings["theorems"].deepest.transpose("depth", "side")
    exact = bool((peak[:, 1] == peak.depth).all() and (peak[:, 0] == peak.depth - 1).all())
    measured = f"argmax ε_r is p at β = 1.01 (p - 1) and p - 1 at 0.99 (p - 1), p = {listed(peak.depth)}"
    return Finding("holds" if exact else "fails", measured, "exact")


def dense_nets(recordings: Recordings) -> Finding:
    """Other skip connections change the path counts alone (Sec. 6)."""
    data = recordings["theorems"]
    equal = bool((data.dense_paths == data.dense_sets).all())
    measured = (
        f"census of a dense net of {data.sizes['length']} weight layers on its graph: "
        f"C({data.sizes['length'] - 4}, r-4) paths of r weights, {int(data.dense_paths.sum())} in all: every "
        "set of layers is one, but for the four that no path can leave out"
    )
    return Finding("holds" if equal else "fails", measured, "exact")


def theorem_5(recordings: Recordings) -> Finding:
    """No mixture of orders 2..p has a larger complexity than the pure p-spin."""
    excess = recordings["theorems"].excess
    worst = float(excess.max())
    measured = (
        f"complexity minus the pure p-spin's: largest {worst:.3g} "
        f"over mixtures of orders 2..p, p = {listed(excess.order)}; true although Eq. 50 of the proof is not: "
        "it takes 1-2/p for min (r-2)/r, which is 0 at r = 2"
    )
    return Finding("holds" if worst <= 1e-12 else "fails", measured, f"{excess.size} mixtures")


THEOREM_CLAIMS = (
    Claim("Theorem 1", "The peak of ε_r lies at the fraction β/(1+β) of the depth as p → ∞.", theorem_1, "theorems"),
    Claim("Theorem 2", "The ε_r² concentrate in a narrow band around that peak.", theorem_2, "theorems"),
    Claim("Lemma 4", "A global scale of the weights shifts the peak to any length 1..p.", lemma_4, "theorems"),
    Claim(
        "Sec. 3, start",
        "With weights drawn at C = 1/√n the ensemble starts at less than half the depth.",
        starts_shallow,
        "theorems",
    ),
    Claim("Eq. 17", "For large enough β the longest paths dominate: argmax ε_r = p.", ends_deep, "theorems"),
    Claim("Sec. 6, dense nets", "Dense nets are covered with other path counts γ_r.", dense_nets, "theorems"),
    Claim(
        "Theorem 5",
        "No mixture of orders up to p has more critical points than the pure p-spin.",
        theorem_5,
        "theorems",
    ),
)
