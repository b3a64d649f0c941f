"""LazyGlass: 100 evaluations of descent at Λ = 100,000 and 100 orders: seconds, memory, and how far from the floor.

The floor in memory traffic: the t-th point must read the basis and the white vectors of the t before it,
16 tΛ bytes in float64; ours reads the basis six times (orthogonalised twice, projected once) and the white
vectors twice. The floor in the span is the product of the new rows with the t⁴/8 stored numbers.

    python benchmarks/bench_lazy.py
"""

import resource
import sys
import time

import numpy as np
import torch

from skipglass.glass import LazyGlass, descend
from skipglass.glass.conditional import SpanLaw
from skipglass.theory import DepthEnsemble

SIZE, STEPS = 100_000, 100


def main() -> None:
    mixture = DepthEnsemble(100, 0.5).mixture()
    z = LazyGlass(mixture, SIZE, seed=0)
    start = time.perf_counter()
    run = descend(z, z.random_points(1)[0], steps=STEPS)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    print(f"{STEPS} steps, {z.evaluations} points: {seconds:.1f} s, peak {peak:.0f} MB, H/Λ = {run.energy:.4f}")
    t = z.evaluations
    block = torch.ones(64, SIZE, dtype=torch.float64)
    vector, read = torch.ones(SIZE, dtype=torch.float64), []
    for _ in range(7):
        begin = time.perf_counter()
        block @ vector
        read.append((time.perf_counter() - begin) / block.nbytes)
    floor = 8 * SIZE * t**2 * float(np.median(read))  # 16 tΛ bytes a point
    span = in_span(t)
    a = np.random.default_rng(0).normal(size=(t, t * t // 2))
    begin = time.perf_counter()
    a @ a.T
    product = (time.perf_counter() - begin) * t**2 / 24  # Σ t⁵/8 = t⁶/48 products; this one has t⁴/2
    print(f"in the span: {span:.1f} s, {span / product:.1f}× its floor of {product:.1f} s (the stored rows, once)")
    print(f"along the dimensions: {seconds - span:.1f} s, {(seconds - span) / floor:.1f}× its floor of {floor:.2f} s")


def in_span(points: int) -> float:
    """Seconds of the small Gaussian alone, on independent random coordinates."""
    law, generator = SpanLaw(DepthEnsemble(100, 0.5).mixture()), np.random.default_rng(0)
    start = time.perf_counter()
    for t in range(points):
        law.add_direction(generator.normal(size=t))
        c = np.append(generator.normal(size=t) / (t + 1), 1.0)
        law.draw(c / np.linalg.norm(c), generator.normal(size=t + 2))
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
