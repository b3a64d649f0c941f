"""What exact path lengths cost, in backwards: one backward is torch.autograd.grad(loss, x) on the same graph.

Ratios within one run, processor time on one thread, medians with their range. Memory is the largest sum of what
the allocator gave out during a spectrum, over the bytes of the largest tensor at a block's input times R.

    python benchmarks/bench_paths.py
"""

import itertools
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from skipglass import paths

REPEATS = 3
Made = tuple[nn.Module, Tensor, Tensor]


def resnet() -> Made:
    """ResNet-50 on eight images of 64x64."""
    import transformers

    torch.manual_seed(0)
    model = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=10))
    x = torch.randn(8, 3, 64, 64, requires_grad=True)
    return model, model(x, labels=torch.arange(8)).loss, x


def gpt2() -> Made:
    """GPT-2's twelve layers at a third of its width, on 4 x 128 tokens.

    Its vocabulary shrinks with its width, to 16,384, which keeps GPT-2's proportion of head to blocks: a backward
    pass, the unit of every row, goes through the head as well.
    """
    import transformers

    torch.manual_seed(0)
    settings = transformers.GPT2Config(
        vocab_size=16384, n_embd=256, n_head=4, n_positions=128, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(settings)
    x = torch.randn(4, 128, 256, requires_grad=True)
    return model, model(inputs_embeds=x, labels=torch.randint(16384, (4, 128))).loss, x


NETWORKS: dict[str, Callable[[], Made]] = {"ResNet-50": resnet, "GPT-2": gpt2}


class Deep(nn.Module):
    """A thousand residual blocks."""

    def __init__(self, blocks: int = 1000) -> None:
        super().__init__()
        self.f = nn.ModuleList(nn.Linear(4, 4) for _ in range(blocks))

    def forward(self, h: Tensor) -> Tensor:
        for f in self.f:
            h = h + torch.relu(f(h))
        return h.sum()


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def speed(name: str) -> list[str]:
    """Rows of one network."""
    _, loss, x = NETWORKS[name]()

    def backward() -> object:
        return torch.autograd.grad(loss, x, retain_graph=True)

    backward()
    R = len(paths.spectrum(loss, x, "blocks").lengths)
    calls: dict[str, tuple[Callable[[], object], float]] = {
        f"spectrum, {R} lengths, over R": (lambda: paths.spectrum(loss, x, "blocks"), R),
        "spectrum with at='blocks', over R": (lambda: paths.spectrum(loss, x, "blocks", at="blocks"), R),
        "moments": (lambda: paths.moments(loss, x, "blocks"), 1),
    }
    for m in (2, 6):
        predicted = paths.cost(loss, x, "blocks", max_length=m)
        calls[f"spectrum to max_length {m} ({predicted:.1f} predicted)"] = (
            lambda m=m: paths.spectrum(loss, x, "blocks", max_length=m),  # type: ignore[misc]
            1,
        )
    ratios: dict[str, list[float]] = {what: [] for what in calls}
    for _ in range(REPEATS):
        for what, (call, per) in calls.items():
            before = seconds(backward) + seconds(backward)
            spent = seconds(call)
            ratios[what].append(spent / per / (before + seconds(backward) + seconds(backward)) * 4)
    return [f"| {name} | {what} | {show(values)} |" for what, values in ratios.items()]


def memory(name: str) -> str:
    """The largest sum of what the allocator gave out during a spectrum, and during a backward pass, beyond what lived.

    The gradient of GPT-2's logits, one channel, is larger than a cut.
    """
    _, loss, x = NETWORKS[name]()
    found = paths.outline(loss, x)
    joins = [found.graph.nodes[b.merge.join]._input_metadata for b in found.blocks]
    cut = max(math.prod(meta.shape) * meta.dtype.itemsize for metas in joins for meta in metas)
    lengths = len(found.blocks) + 1
    own = peak(lambda: torch.autograd.grad(loss, x, retain_graph=True)) / cut / lengths
    whole = peak(lambda: paths.spectrum(loss, x, "blocks")) / cut / lengths
    return f"| {name} | memory, in cuts of {lengths} lengths | {whole:.2f}; a backward's own {own:.2f} |"


def peak(call: Callable) -> int:
    with torch.profiler.profile(profile_memory=True) as watched:
        call()
    events = watched.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(itertools.accumulate(change for _, change in changes))


def show(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def main() -> None:
    torch.set_num_threads(1)
    print("| network | what | backwards |\n|---|---|---|")
    for name in NETWORKS:
        print("\n".join(speed(name)), flush=True)
        print(memory(name), flush=True)
    model, x = Deep(), torch.randn(2, 4, requires_grad=True)
    loss = model(x)
    spent = [seconds(lambda unit=unit: paths.census(loss, x, unit)) for unit in ("blocks", "weights") for _ in range(3)]
    print(f"| 1,000 blocks | census, seconds | {show(spent)} |")


if __name__ == "__main__":
    main()
