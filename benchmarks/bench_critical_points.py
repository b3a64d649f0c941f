"""Exact numbers of critical points against closed forms, and what they cost.

Run: python benchmarks/bench_critical_points.py
"""

import math
import time

import numpy as np

from skipglass.theory import Mixture, expected_critical_points

CLOSED = {
    1: lambda x: 2.0,
    2: lambda x: 2 * math.sqrt(3 * x + 1),
    3: lambda x: 2 + 8 * x**1.5 / math.sqrt(3 * x + 1),
}
ORDERS = (2, 3, 4, 10, 100)


def totals() -> None:
    print("E[Crt] of the pure p-spin, with its relative error where a closed form is known")
    print("   Λ " + "".join(f"{f'p = {p}':>22}" for p in ORDERS))
    for size in (1, 2, 3, 4, 10, 50, 100, 500, 2000):
        cells = []
        for p in ORDERS:
            log = expected_critical_points(Mixture.pure(p), size, log=True)
            known = 2.0 * size if p == 2 else CLOSED[size](p - 1.0) if size in CLOSED else None
            shown = f"{math.exp(log):.6g}" if log < 700 else f"10^{log / math.log(10):.2f}"
            cells.append(shown + ("" if known is None else f" ({math.exp(log) / known - 1:+.0e})"))
        print(f"{size:4} " + "".join(f"{cell:>22}" for cell in cells))


def times() -> None:
    print("\nseconds, total")
    for size in (100, 500, 2000, 10_000):
        start = time.perf_counter()
        expected_critical_points(Mixture.pure(3), size, log=True)
        print(f"{size:6} {time.perf_counter() - start:8.3f}")
    print("\nper index, pure 3-spin: seconds, largest relative error estimate, Euler characteristic's residual")
    for size in (10, 25, 50, 75):
        start = time.perf_counter()
        values, errors = expected_critical_points(Mixture.pure(3), size, per_index=True)
        seconds = time.perf_counter() - start
        residual = values @ (-1.0) ** np.arange(size) - 2 * (size % 2)
        print(f"{size:6} {seconds:8.3f} {(errors / values).max():9.1e} {residual:+9.1e}")


if __name__ == "__main__":
    totals()
    times()
