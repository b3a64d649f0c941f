"""Two processes that hold a model together: what each finds is written to a file, for the test to compare."""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

import skipglass as sg
from skipglass.graph import processes

PORT = 29500


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return x + self.b(torch.tanh(self.a(x)))


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 6), Block(), Block(), nn.Linear(6, 3)).double()


def sharded():
    from torch.distributed.fsdp import fully_shard

    model = plain()
    for part in (model[1], model[2], model):
        fully_shard(part)
    return model


def parallel():
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    model = plain()
    for block in model[1:3]:
        plan = {"a": ColwiseParallel(), "b": RowwiseParallel()}
        parallelize_module(block, init_device_mesh("cpu", (dist.get_world_size(),)), plan)
    return model


def batch():
    return torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def figures(model):
    """By all measures, of a live loss and of the model, in numbers."""
    x = batch().requires_grad_()

    def loss():
        return model(x).square().sum()

    spectra = [sg.paths.spectrum(loss(), x, unit, model=model) for unit in ("blocks", "weights")]
    profile, monitor = sg.measure(model, batch()), sg.Monitor(model, (batch(), None))
    return {
        "blocks": [b.name for b in spectra[0].graph.blocks],
        "weights": list(spectra[0].graph.weights),
        "depths": [s.effective_depth for s in spectra],
        "without a model": sg.paths.spectrum(loss(), x, "weights").effective_depth,
        "moments": [(m := sg.paths.moments(loss(), x, model=model)).mean, m.variance],
        "shares": sg.paths.participation_of(loss(), x, model).share.tolist(),
        "profile": profile.share_per_sample.tolist(),
        "monitor": monitor.recording.rows[0]["participation"],
    }


def kinds(model):
    return [type(p).__name__ for p in model.parameters()]


def trained(model, between=None):
    """The losses of a training, with something between a forward and its backward pass."""
    optimizer, losses, seen = torch.optim.SGD(model.parameters(), 0.1), [], []
    for step in range(5):
        loss = model(batch()).square().mean()
        if between is not None and step in {1, 3}:
            before = kinds(model)
            seen.append(between(model))
            assert kinds(model) == before
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses, seen


def alone(model):
    """What the first process is told if it measures alone."""
    said = []
    if dist.get_rank() == 0:
        for measure in (sg.measure, sg.paths.participation, lambda m, x: sg.Monitor(m, (x, None))):
            try:
                measure(model, batch())
            except sg.errors.InputError as error:
                said.append(str(error))
    return said


def fails(model):
    """What is raised if the measurement fails in the middle, in both processes."""
    x = batch().requires_grad_()
    y = model[:2](x)
    y.register_hook(lambda g: g.clamp(-1e-3, 1e-3))
    try:
        sg.paths.spectrum(model[2:](y).square().sum(), x, model=model)
    except sg.errors.UserError as error:
        return type(error).__name__
    return "nothing"


def main(rank, world, folder):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(PORT + os.getppid() % 2000), RANK=str(rank))
    os.environ["WORLD_SIZE"] = str(world)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    processes.PATIENCE = 60.0
    found = {"plain": figures(plain()), "sharded": figures(sharded()), "parallel": figures(parallel())}
    found |= {"trained": trained(sharded())[0], "measured": trained(sharded(), figures)[0]}
    found["failed"] = trained(sharded(), fails)
    if world > 1:
        processes.PATIENCE = 0.5
        found["alone"] = trained(sharded(), alone)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(main, (2, sys.argv[1]), nprocs=2)
