"""ResNet training: our loop against a plain PyTorch loop, the share of the data pipeline, one process against two.

The plain loop is what a user would write: the same network and batch, the whole set as normalised tensors, crop and
flip by one draw for the batch's every image, SGD. Neither evaluates nor watches here (the monitor has a benchmark of
its own). Ratios are medians over interleaved repetitions, of CPU seconds on one thread (other work on the machine does
not count) for the loops and of wall time for the processes; images are random bytes of CIFAR's shape.

    python benchmarks/bench_cifar.py [DEPTH]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from skipglass.data import Images
from skipglass.data.augment import crop_and_flip, draw
from skipglass.training import ResNetSettings
from skipglass.training.processes import launched
from skipglass.training.resnet import ResNet

REPEATS, STEPS, BATCH = 5, 3, 128


def images(count: int) -> Images:
    pixels = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(10, (count,))
    return Images(pixels, labels, pixels[:10], labels[:10], 10, (125.3, 123.0, 113.9), (63.0, 62.1, 66.7))


def plain(settings: ResNetSettings, data: Images) -> float:
    """Seconds of a plain training of `STEPS` steps."""
    model = settings.model(10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    inputs = data.normalized(data.inputs)
    generator = torch.Generator().manual_seed(0)
    start = time.process_time()
    order = torch.randperm(len(data.targets), generator=generator)
    for step in range(STEPS):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        x = crop_and_flip(inputs[chosen], *draw(BATCH, generator))
        loss = F.cross_entropy(model(x), data.targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    return time.process_time() - start


def prepared(settings: ResNetSettings, data: Images) -> ResNet:
    """Our training of `STEPS` steps an epoch."""
    with launched("cpu", "float32") as fabric:
        return ResNet(settings, data, fabric)


def ours(training: ResNet) -> tuple[float, float]:
    """Seconds of an epoch without tests and monitor, and of its data alone."""
    start = time.process_time()
    training.fit([training.losses, training.schedule])
    whole = time.process_time() - start
    start = time.process_time()
    for _ in training.batches:
        pass
    return whole, time.process_time() - start


def processes(script: str, count: int) -> float:
    """Seconds of training, with start and imports taken off by the script itself, in ``count`` processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.py"
        path.write_text(script)
        done = subprocess.run([*launcher, str(path)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


SCRIPT = """
import sys, time, torch
sys.path.insert(0, {here!r})
from bench_cifar import BATCH, images
from skipglass.training import ResNetSettings
from skipglass.training.processes import launched
from skipglass.training.resnet import ResNet
torch.set_num_threads(1)
with launched("cpu", "float32") as fabric:
    torch.manual_seed(0)
    training = ResNet(ResNetSettings("cifar10", depth={depth}, epochs=1), images({steps} * BATCH), fabric)
    fabric.barrier()
    start = time.perf_counter()
    training.fit([training.losses, training.schedule])
    if fabric.global_rank == 0:
        print(time.perf_counter() - start)
"""


def main(depth: int) -> None:
    torch.set_num_threads(1)
    settings = ResNetSettings("cifar10", depth=depth, epochs=1, batch_size=BATCH)
    data = images(STEPS * BATCH)
    training = prepared(settings, data)
    plain(settings, data)  # warms the caches
    ours(training)
    ratios, shares = [], []
    for _ in range(REPEATS):
        baseline = plain(settings, data)
        seconds, pipeline = ours(training)
        ratios.append(seconds / baseline)
        shares.append(pipeline / seconds)
    print(f"| ResNet-{depth}, batch {BATCH}, CPU, one thread | median (range) | bound |")
    print("|---|---|---|")
    print(f"| our loop / plain loop | {show(ratios)} | 1.05 |")
    print(f"| data pipeline / step | {show(shares)} | 0.05 |", flush=True)
    script = SCRIPT.format(here=str(Path(__file__).parent), depth=depth, steps=STEPS)
    pairs = [processes(script, 1) / processes(script, 2) for _ in range(2)]
    print(f"| one process / two (torchrun, loopback), same global batch | {show(pairs)} | - |")


def show(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.3f} ({min(values):.3f}..{max(values):.3f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
