"""What a monitor costs beside the training of ResNet-32 with batches of 128, at its default cadence.

One training step (forward, backward, SGD) is the unit; an evaluation of the probe and one with the spectrum are medians
over repetitions that alternate with training steps. At the default cadence a step costs 1/100 of an evaluation and
1/1000 of a spectrum more; the target is 3 % in all. The early evaluations (0, 1, 2, 5, … 50) come once in a training.
The last row is what a recorded run has: one monitor in all three modes, with spectra in the first.

    python benchmarks/bench_monitor.py [cpu | cuda]
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

import skipglass as sg
from skipglass.models import CifarResNet
from skipglass.training.resnet import MODES, PROBE
from skipglass.watch.monitor import EVERY, SPECTRA

DEPTH, BATCH, REPEATS = 32, 128, 3


def seconds(call: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


class Training:
    def __init__(self, device: str) -> None:
        self.model = CifarResNet(DEPTH).to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
        self.x, self.y = torch.randn(BATCH, 3, 32, 32, device=device), torch.randint(10, (BATCH,), device=device)

    def step(self) -> None:
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(self.x), self.y).backward()
        self.optimizer.step()


def one_probe(training: Training, samples: int, mode: str | tuple[str, ...], device: str) -> None:
    probe = training.x[:samples], training.y[:samples]
    plain = sg.Monitor(training.model, probe, F.cross_entropy, mode=mode, spectrum_every=0)
    whole = sg.Monitor(training.model, probe, F.cross_entropy, mode=mode, every=1, spectrum_every=1)
    steps, evaluations, spectra = [], [], []
    for k in range(REPEATS):
        steps.append(seconds(training.step, device))
        plain.steps = 1000 + k  # an evaluation of its own each time
        evaluations.append(seconds(plain.evaluate, device))
        steps.append(seconds(training.step, device))
        spectra.append(seconds(whole.step, device))
    step, evaluation, spectrum = map(statistics.median, (steps, evaluations, spectra))
    evaluation, spectrum = evaluation / step, spectrum / step
    cost = (evaluation + max(0.0, spectrum - evaluation) / SPECTRA) / EVERY
    modes = mode if isinstance(mode, str) else " + ".join(mode)
    print(f"| {samples} | {modes} | {evaluation:.2f} | {spectrum:.2f} | {100 * cost:.2f} % |", flush=True)


def main() -> None:
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    torch.manual_seed(0)
    training = Training(device)
    for _ in range(2 if device == "cpu" else 10):
        training.step()
    print(
        "| probe | mode | an evaluation, in steps | with the spectrum | of the training time |\n|---|---|---|---|---|"
    )
    one_probe(training, 64, "frozen", device)
    for mode in (*MODES, MODES):
        one_probe(training, PROBE, mode, device)


if __name__ == "__main__":
    main()
