"""The spherical glass's pass over packed couplings against the full tensor.

Processor times of one thread, in rounds: each method is repeated as descent repeats it, so that couplings which fit
in a cache stay there; the median over rounds is shown. The floor is one read of the couplings (their sum).

Run: OMP_NUM_THREADS=1 python benchmarks/bench_glass.py
"""

import time

import numpy as np
import torch

from skipglass.glass import SphericalGlass
from skipglass.theory import Mixture

ROUNDS, REPEATS = 9, 10


def seconds(functions: dict[str, object]) -> dict[str, float]:
    """The median over rounds of the time of one call, the functions taking turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            function()
            start = time.process_time()
            for _ in range(REPEATS):
                function()
            times[name].append((time.process_time() - start) / REPEATS)
    return {name: float(np.median(values)) for name, values in times.items()}


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
        print(f"  {name:36} {1e3 * value:8.3f} ms   {first / value:6.1f} × the full tensor's speed")
    ratio = found["packed, one point"] / found["floor: one read of the couplings"]
    print(f"  one point takes {ratio:.1f} × the floor")


if __name__ == "__main__":
    torch.set_num_threads(1)
    energy_and_gradient()
