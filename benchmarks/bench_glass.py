"""The spherical glass's pass over packed couplings against the full tensor; its critical points against SciPy's root.

Processor times of one thread, in rounds: each method is repeated as descent repeats it, so that couplings which fit
in a cache stay there. Medians over rounds, and in brackets the ratio of the fastest rounds: where other programs use
the cache too, couplings that would stay in it do not. The floor is one read of the couplings (their sum).

    python benchmarks/bench_glass.py
"""

import time
from itertools import permutations

import numpy as np
import torch
from scipy.optimize import root

from skipglass.glass import SphericalGlass, critical_points
from skipglass.theory import Mixture
from skipglass.threads import one_thread

ROUNDS, REPEATS = 21, 20


def seconds(functions: dict[str, object]) -> dict[str, np.ndarray]:
    """The median over rounds of the time of one call, and the least; the functions take turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            function()
            start = time.process_time()
            for _ in range(REPEATS):
                function()
            times[name].append((time.process_time() - start) / REPEATS)
    return {name: np.array([np.median(values), min(values)]) for name, values in times.items()}


def energy_and_gradient(size: int = 200, order: int = 3) -> None:
    h = SphericalGlass(Mixture.pure(order), size, seed=0)
    w, batch = h.random_points(1)[0], h.random_points(16)
    tensor = torch.randn([size] * order, dtype=torch.float64)
    spec = "ijk,i,j,k->"

    def naive() -> None:
        x = w.clone().requires_grad_()
        torch.einsum(spec, tensor, x, x, x).backward()

    found = seconds(
        {
            "full tensor, einsum and autograd": naive,
            "packed, one point": lambda: h.energy_and_gradient(w),
            "packed, each of 16 points": lambda: h.energy_and_gradient(batch),
            "floor: one read of the couplings": lambda: h.couplings[0].values.sum(),
        }
    )
    found["packed, each of 16 points"] /= 16
    print(f"energy and gradient, p = {order}, Λ = {size}: {h}")
    first = found["full tensor, einsum and autograd"]
    for name, value in found.items():
        median, fastest = first / value
        print(f"  {name:36} {1e3 * value[0]:8.3f} ms   {median:6.1f} × the full tensor's speed ({fastest:.1f})")
    ratio, _ = found["packed, one point"] / found["floor: one read of the couplings"]
    print(f"  one point takes {ratio:.1f} × the floor")


def scipy_search(tensor: np.ndarray, wanted: np.ndarray, seed: int = 0) -> int:
    """Solve ∇H = μw, ‖w‖² = Λ from random starts until every wanted point (±w are one) is found; count the solves."""
    size, rng = len(tensor), np.random.default_rng(seed)

    def equations(v: np.ndarray) -> np.ndarray:
        w = v[:-1]
        return np.append(3 * (tensor @ w) @ w - v[-1] * w, w @ w - size)

    def jacobian(v: np.ndarray) -> np.ndarray:
        w = v[:-1]
        top = np.column_stack([6 * tensor @ w - v[-1] * np.eye(size), -w])
        return np.vstack([top, np.append(2 * w, 0.0)])

    seen, solves = np.zeros(len(wanted), dtype=bool), 0
    while not seen.all():
        w = rng.standard_normal(size)
        end = root(equations, np.append(w * np.sqrt(size) / np.linalg.norm(w), 0.0), jac=jacobian, tol=1e-12)
        solves += 1
        if end.success:
            seen |= np.abs(wanted @ end.x[:-1]) / size > 1 - 1e-9
    return solves


def all_critical_points(size: int = 6, samples: int = 5) -> None:
    print(f"all critical points of one sample, p = 3, Λ = {size}, processor seconds")
    ratios = []
    for seed in range(samples):
        h = SphericalGlass(Mixture.pure(3), size, seed)
        critical_points(h)
        start = time.process_time()
        c = critical_points(h)
        ours = time.process_time() - start
        indices, values = h.coefficients(3)
        tensor = np.zeros((size,) * 3)
        for place, value in zip(indices.tolist(), values.tolist(), strict=True):
            places = set(permutations(place))
            for where in places:
                tensor[where] = value / len(places)
        start = time.process_time()
        solves = scipy_search(tensor, c.points.numpy())
        scipy = time.process_time() - start
        ratios.append(scipy / ours)
        print(f"  seed {seed}: {len(c)} points, {c.evidence.starts} starts {ours:.3f} s; {solves} solves {scipy:.3f} s")
    print(f"  median ratio {np.median(ratios):.1f}")


if __name__ == "__main__":
    with one_thread():
        all_critical_points()
        energy_and_gradient()
