"""What users hang on a graph: linear hooks are counted right, others refused, and everything is left as found."""

import pytest
import torch
from torch import nn

from skipglass import paths
from skipglass.errors import DecompositionError, InputError


class Step(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.g = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return x + self.g(self.f(x).tanh())


def network(L=4):
    torch.manual_seed(0)
    return nn.ModuleList(Step() for _ in range(L)).double(), torch.randn(3, 4, dtype=torch.float64, requires_grad=True)


def run(steps, x, hook=None, at=2, inside=False):
    h = x
    for l, step in enumerate(steps):
        if inside and l == at:
            middle = step.f(h)
            middle.register_hook(hook)
            h = h + step.g(middle.tanh())
        else:
            h = step(h)
            if hook is not None and l == at and not inside:
                h.register_hook(hook)
    return h.square().sum()


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("at", [0, 2, 3])
def test_a_linear_hook_is_counted_once(at, inside):
    steps, x = network()
    loss = run(steps, x, lambda g: 3 * g, at, inside)
    g = torch.autograd.grad(loss, x, retain_graph=True)[0]
    s = paths.spectrum(loss, x, "blocks", keep=True, at="blocks")
    torch.testing.assert_close(s.gradients.sum(0), g, rtol=1e-12, atol=1e-12)
    plain = paths.spectrum(run(steps, x), x, "blocks", keep=True)
    if not inside:  # all paths pass the hook
        torch.testing.assert_close(s.gradients, 3 * plain.gradients, rtol=1e-12, atol=1e-12)
    m = paths.moments(loss, x, "blocks")
    assert m.mean == pytest.approx(s.effective_depth, rel=1e-10)
    assert m.variance == pytest.approx(float((s.lengths - m.mean) ** 2 @ s.share), rel=1e-8, abs=1e-10)


def test_a_hook_on_the_loss_is_counted_once():
    steps, x = network()
    loss = run(steps, x) + run(steps, 2 * x)
    loss.register_hook(lambda g: 5 * g)
    g = torch.autograd.grad(loss, x, retain_graph=True)[0]
    s = paths.spectrum(loss, x, "blocks", keep=True)
    torch.testing.assert_close(s.gradients.sum(0), g, rtol=1e-12, atol=1e-12)
    assert paths.moments(loss, x, "blocks").mean == pytest.approx(s.effective_depth, rel=1e-10)


MEASURES = {
    "spectrum": lambda loss, x: paths.spectrum(loss, x, "blocks"),
    "moments": lambda loss, x: paths.moments(loss, x, "blocks"),
    "moments in weights": lambda loss, x: paths.moments(loss, x, "weights"),
    "participation": paths.participation_of,
}


class Rectified(torch.autograd.Function):
    """The identity, with negative gradients dropped (guided backpropagation)."""

    @staticmethod
    def forward(ctx, a):
        return a.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(min=0)


def clips(grad):
    return grad.clamp(-1e-2, 1e-2)


def at_the_sum(steps, x, at):
    return run(steps, x, clips, at)


def inside_a_branch(steps, x, at):
    return run(steps, x, clips, at, inside=True)


def at_a_branch(steps, x, at, change=clips):
    h = x
    for l, step in enumerate(steps):
        branch = step.g(step.f(h).tanh())
        if l == at:
            branch.register_hook(change)
        h = h + branch
    return h.square().sum()


def at_the_module(steps, x, at):
    steps[at].g.register_full_backward_hook(lambda module, given, grad: tuple(map(clips, given)))
    return run(steps, x)


def at_the_node(steps, x, at):
    h = x
    for l, step in enumerate(steps):
        h = step(h)
        if l == at:
            h.grad_fn.register_prehook(lambda grads: tuple(map(clips, grads)))
    return h.square().sum()


def by_a_custom_function(steps, x, at):
    h = x
    for l, step in enumerate(steps):
        h = Rectified.apply(step(h)) if l == at else step(h)
    return h.square().sum()


@pytest.mark.filterwarnings("ignore:what these operations may hold")
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    "clipped", [at_the_sum, inside_a_branch, at_a_branch, at_the_module, at_the_node, by_a_custom_function]
)
def test_a_backward_pass_that_clips_is_refused_and_all_is_left_as_found(clipped, measure):
    steps, x = network(3)
    loss = clipped(steps, x, 1)
    state = torch.get_rng_state()
    with pytest.raises(DecompositionError) as caught:
        MEASURES[measure](loss, x)
    assert "\n" not in str(caught.value)
    assert x.grad is None
    assert all(p.grad is None for p in steps.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    loss.backward()
    assert x.grad is not None


@pytest.mark.parametrize(
    ("way", "place", "measure"),
    [
        *(("mul_", "branch", measure) for measure in MEASURES),
        ("returned", "sum", "moments"),
        ("item", "inside", "spectrum"),
        ("data", "sum", "participation"),
    ],
)
def test_a_hook_that_works_in_place_is_refused(way, place, measure):
    def hook(grad):
        if way == "item":
            grad[0] = 0
        elif way == "data":
            grad.data.mul_(0.5)
        else:
            grad.mul_(0.5)
        return grad if way == "returned" else None

    steps, x = network(3)
    loss = at_a_branch(steps, x, 1, hook) if place == "branch" else run(steps, x, hook, 1, place == "inside")
    with pytest.raises(DecompositionError, match="in place") as caught:
        MEASURES[measure](loss, x)
    assert "\n" not in str(caught.value)


def fails(grad):
    raise ValueError("no")


@pytest.mark.parametrize(("hook", "text"), [(fails, "ValueError: no"), (lambda g: g[:1], "RuntimeError: hook")])
def test_a_hook_that_fails_gets_one_line(hook, text):
    steps, x = network(2)
    with pytest.raises(InputError, match=text):
        paths.spectrum(run(steps, x, hook, 1), x, unit="weights")


def test_a_linear_hook_on_a_sum_s_node_is_counted_or_refused():
    steps, x = network(12)
    h = x
    for l, step in enumerate(steps):
        h = step(h)
        if l == 6:
            h.grad_fn.register_hook(lambda out, _: tuple(3 * v for v in out))
    loss = h.square().sum()
    for measure in (paths.spectrum, paths.moments):
        with pytest.raises(DecompositionError, match="hooks"):
            measure(loss, x, "blocks")
    expected = paths.spectrum(run(steps, x), x, "blocks").effective_depth  # all paths pass the hook
    assert paths.participation_of(loss, x).effective_depth == pytest.approx(expected, rel=1e-10)


def test_the_error_says_where_the_sum_first_fails():
    steps, x = network(6)
    loss = run(steps, x, lambda g: g.clamp(-1.0, 1.0), 3)
    with pytest.raises(DecompositionError, match="Add"):
        paths.spectrum(loss, x, "blocks", model=steps)


def test_a_hook_that_clips_nothing_is_no_obstacle():
    steps, x = network()
    loss = run(steps, x, lambda g: g.clamp(-1e9, 1e9))
    assert paths.spectrum(loss, x, "blocks").error <= 1e-12
    assert paths.moments(loss, x, "blocks").error <= 1e-12


@pytest.mark.parametrize("measure", [paths.spectrum, paths.moments, paths.census])
@pytest.mark.parametrize("earlier", [False, True])
def test_retained_gradients_are_as_before(measure, earlier):
    steps, x = network()
    h = x
    kept = []
    for step in steps:
        h = step(h)
        h.retain_grad()
        kept.append(h)
    loss = h.square().sum()
    if earlier:
        loss.backward(retain_graph=True)
    before = [None if h.grad is None else h.grad.clone() for h in kept]
    assert (before[0] is None) != earlier
    measure(loss, x, "blocks")
    for h, grad in zip(kept, before, strict=True):
        assert h.grad is None if grad is None else torch.equal(h.grad, grad)
    loss.backward()
    for h, grad in zip(kept, before, strict=True):
        expected = torch.autograd.grad(run(steps, x), x)[0]  # the graph above is used up
        assert h.grad is not None
        assert expected.shape == h.grad.shape
        if grad is not None:
            torch.testing.assert_close(h.grad, 2 * grad)


def test_retained_gradients_are_as_before_after_an_error():
    steps, x = network()
    h = steps[0](x)
    h.retain_grad()
    h.register_hook(lambda g: g.clamp(-1e-3, 1e-3))
    with pytest.raises(DecompositionError):
        paths.spectrum(steps[1](h).square().sum() + h.sum(), x, "blocks")
    assert h.grad is None
    with pytest.raises(InputError):
        paths.spectrum(h.sum(), torch.ones(2, requires_grad=True), unit="weights")
    assert h.grad is None


def test_hooks_that_only_look_are_no_obstacle():
    steps, x = network()
    seen = []
    loss = run(steps, x, lambda g: seen.append(g.norm()))
    assert paths.spectrum(loss, x, "blocks").error <= 1e-12
    assert seen
