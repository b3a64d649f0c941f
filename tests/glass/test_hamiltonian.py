"""Spherical glasses: derivatives against autograd of the naive sum, laws, the law of the disorder, mistakes."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch

import skipglass.glass
from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import LazyGlass, SphericalGlass, couplings, descend, langevin, sphere
from skipglass.theory import DepthEnsemble, Mixture

MIXTURES = {
    "field": Mixture({1: 2.0}),
    "pure 2": Mixture.pure(2),
    "pure 3": Mixture.pure(3),
    "pure 5": Mixture.pure(5),
    "orders 1, 2, 4": Mixture({1: 0.3, 2: 0.3, 4: 0.4}),
    "depth 6": DepthEnsemble(6, 0.4).mixture(field=True),
}
SIZES = [2, 3, 5]


def full_tensors(h: SphericalGlass) -> list[torch.Tensor]:
    """The symmetric tensors, every index tuple written out: a coupling is shared by the orders of its indices."""
    tensors = []
    for r in h.mixture.orders.tolist():
        tensor = torch.zeros([h.size] * r, dtype=torch.float64)
        for indices, value in zip(*(t.tolist() for t in h.coefficients(r)), strict=True):
            places = set(itertools.permutations(indices))
            for place in places:
                tensor[place] = value / len(places)
        tensors.append(tensor)
    return tensors


def naive_energy(tensors: list[torch.Tensor], w: torch.Tensor) -> torch.Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for tensor in tensors:
        while tensor.ndim:
            tensor = tensor @ w
        total = total + tensor
    return total


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_derivatives_equal_autograd_of_the_naive_sum(mixture, size):
    h = SphericalGlass(mixture, size, seed=3)
    tensors = full_tensors(h)
    points = h.random_points(4, seed=5).reshape(2, 2, size)
    energy, gradient, hessian = h.evaluate(points)
    for place in itertools.product(range(2), range(2)):
        w = points[place]
        projector = torch.eye(size, dtype=torch.float64) - torch.outer(w, w) / size
        slope = torch.func.grad(lambda v: naive_energy(tensors, v))(w)
        curvature = torch.func.jacrev(torch.func.grad(lambda v: naive_energy(tensors, v)))(w)
        expected = projector @ curvature @ projector - (slope @ w / size) * projector
        tight = {"rtol": 1e-12, "atol": 1e-12}
        torch.testing.assert_close(energy[place], naive_energy(tensors, w), **tight)
        torch.testing.assert_close(gradient[place], projector @ slope, **tight)
        torch.testing.assert_close(hessian[place], expected, **tight)
        torch.testing.assert_close(hessian[place] @ w, torch.zeros_like(w), **tight)


@pytest.mark.parametrize(("order", "size"), [(2, 70), (3, 100), (4, 20)])  # bands of one j and of two
def test_wide_bands_give_what_the_sum_over_monomials_gives(order, size):
    h = SphericalGlass(Mixture.pure(order), size, seed=1)
    indices, values = h.coefficients(order)
    assert len(values) == math.comb(size + order - 1, order) == len(torch.unique(indices, dim=0))
    assert bool((indices.diff(dim=1) >= 0).all())
    w = h.random_points(1)[0].requires_grad_()
    energy = (values * w[indices].prod(-1)).sum()
    (slope,) = torch.autograd.grad(energy, w)
    found, gradient = h.energy_and_gradient(w)
    torch.testing.assert_close(found, energy.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, sphere.tangent(w.detach(), slope), rtol=1e-11, atol=1e-12)
    v = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    difference = (h.gradient(w + 1e-5 * v, project=True) - h.gradient(w - 1e-5 * v, project=True)) / 2e-5
    along = sphere.tangent(w.detach(), v)
    expected = sphere.tangent(w.detach(), difference)
    torch.testing.assert_close(h.hessian(w) @ along, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 7])
def test_a_pure_model_is_homogeneous(order):
    h = SphericalGlass(Mixture.pure(order), 4, seed=2)
    w = h.random_points(5)
    (coupling,) = h.couplings
    energy, ambient = coupling.derivatives(w, 1)
    torch.testing.assert_close(h.energy(-w), (-1) ** order * h.energy(w), rtol=1e-14, atol=1e-15)
    torch.testing.assert_close((ambient * w).sum(-1), order * energy, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close((h.gradient(w) * w).sum(-1), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-12)


OVERLAPS = np.array([1.0, 0.9, 0.5, 0.0, -0.4, -1.0])


def pairs(size: int, rotation: torch.Tensor) -> torch.Tensor:
    """w_0 and points at the overlaps with it, rotated."""
    w = torch.zeros(len(OVERLAPS), size, dtype=torch.float64)
    w[:, 0], w[:, 1] = torch.from_numpy(OVERLAPS), torch.from_numpy(np.sqrt(1 - OVERLAPS**2))
    return w @ rotation.T * math.sqrt(size)


@pytest.mark.parametrize("mixture", [Mixture.pure(3), Mixture({1: 0.2, 2: 0.5, 4: 0.3})], ids=["pure 3", "mixture"])
@pytest.mark.parametrize("rotated", [False, True])
def test_the_covariance_over_disorder_is_size_times_xi(mixture, rotated):
    """On the axes, and for another frame: the law is invariant under rotation. Errors: Wick, (C_00 C_ww + C²)/n."""
    size, n = 4, 800
    frame = torch.eye(size, dtype=torch.float64)
    if rotated:
        random = torch.randn(size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        frame = torch.linalg.qr(random)[0]
    points = pairs(size, frame)
    energies = np.array([SphericalGlass(mixture, size, seed=s).energy(points, project=True).numpy() for s in range(n)])
    measured = (energies * energies[:, :1]).mean(0)
    expected = size * mixture(OVERLAPS)
    error = np.sqrt(((size * mixture(1.0)) ** 2 + expected**2) / n)
    z = (measured - expected) / error
    assert np.abs(z).max() < 3.9, (measured, expected, error)  # 99.9 % point of 12 tests, two-sided
    means = energies[:, OVERLAPS > -1].mean(0) / np.sqrt(size * mixture(1.0) / n)  # of ±w one: H(-w) may be -H(w)
    assert np.abs(means).max() < 4.06, means  # 99.9 % point of 20 tests, two-sided


def test_couplings_have_the_variance_of_their_multiplicity():
    """Var c = ε² Λ^{-(r-1)} r!/Π m_i!, coupling by coupling, over 2000 glasses."""
    n, size, order = 2000, 3, 4
    drawn = torch.stack([SphericalGlass(Mixture({4: 0.7}), size, seed=s).coefficients(4)[1] for s in range(n)])
    indices, _ = SphericalGlass(Mixture({4: 0.7}), size).coefficients(4)
    counts = [np.bincount(i, minlength=size) for i in indices.numpy()]
    expected = [0.7 * size**-3 * math.factorial(order) / math.prod(map(math.factorial, c)) for c in counts]
    ratio = drawn.square().mean(0).numpy() / np.array(expected)
    assert np.abs(ratio - 1).max() < 3.9 * math.sqrt(2 / n)
    correlations = np.corrcoef(drawn.T.numpy()) - np.eye(len(expected))
    assert np.abs(correlations).max() < 4.5 / math.sqrt(n)


def test_a_seed_names_a_glass():
    m = Mixture({2: 0.5, 3: 0.5})
    a, b, other = (SphericalGlass(m, 6, seed=s) for s in (4, 4, 5))
    w = a.random_points(3)
    assert torch.equal(a.energy(w), b.energy(w))
    assert not torch.equal(a.energy(w), other.energy(w))
    torch.testing.assert_close(
        SphericalGlass(m, 6, seed=4, dtype=torch.float32).energy(w.float()), a.energy(w).float(), rtol=1e-5, atol=1e-5
    )
    alone = SphericalGlass(Mixture({3: 0.5}), 6, seed=4)
    assert torch.equal(alone.coefficients(3)[1], a.coefficients(3)[1])  # orders do not change one another
    assert torch.equal(pickle.loads(pickle.dumps(a)).energy(w), a.energy(w))


def test_every_point_of_a_batch_is_its_own():
    h = SphericalGlass(Mixture({1: 0.1, 3: 0.5, 4: 0.4}), 5)
    w = h.random_points(6)
    together, alone = h.evaluate(w.reshape(3, 2, 5)), [h.evaluate(v) for v in w]
    many = h.random_points(40)
    few = torch.cat([h.gradient(many[:20]), h.gradient(many[20:])])
    torch.testing.assert_close(h.gradient(many), few, rtol=1e-12, atol=1e-13)  # by other products
    for batch, single in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(batch.flatten(0, 1), torch.stack(single), rtol=1e-12, atol=1e-13)
    assert h.energy(w[:0]).shape == (0,)


@pytest.mark.parametrize("limits", [{}, {"IN_CACHE": 1}], ids=["as it is", "tiny cache"])
@pytest.mark.parametrize(("mixture", "size"), [(Mixture({1: 0.2, 2: 0.3, 3: 0.5}), 100), (Mixture.pure(5), 6)])
def test_one_point_alone_gives_what_it_gives_among_others(mixture, size, limits, monkeypatch):
    for name, value in limits.items():
        monkeypatch.setattr(couplings, name, value)
    for dtype, tight in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        h = SphericalGlass(mixture, size, dtype=dtype)
        w = h.random_points(3)
        for alone, among in zip(h.energy_and_gradient(w[1]), h.energy_and_gradient(w), strict=True):
            torch.testing.assert_close(alone, among[1], rtol=tight, atol=tight)


def test_packed_couplings_waste_little():
    h = SphericalGlass(Mixture.pure(3), 60)
    least = 8 * math.comb(62, 3)
    assert h.nbytes == least
    assert h.dense_nbytes == 8 * 60**3
    banded = SphericalGlass(Mixture.pure(2), 70).nbytes / (8 * math.comb(71, 2))
    assert 1 < banded <= 17 / 16
    assert f"{least // 8} couplings" in repr(h)


def test_tangent_bases_are_orthonormal_and_tangent():
    w = torch.cat([H.random_points(5), 2 * torch.eye(4, dtype=torch.float64), -2 * torch.eye(4, dtype=torch.float64)])
    basis = sphere.tangent_basis(w)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(3, dtype=torch.float64).expand(13, 3, 3), rtol=0, atol=1e-14)
    torch.testing.assert_close(basis.mT @ w[..., None], torch.zeros(13, 3, 1, dtype=torch.float64), rtol=0, atol=1e-14)


def test_indices_are_the_negative_curvatures():
    h = SphericalGlass(Mixture.pure(3), 6)
    w = h.random_points(20)
    values = torch.linalg.eigvalsh(h.hessian(w))
    assert torch.equal(h.indices(w), (values < -1e-9).sum(-1))


H = SphericalGlass(Mixture.pure(3), 4)
MISTAKES = {
    "off the sphere": (lambda: H.energy(2 * H.random_points(1)), "project=True"),
    "zero": (lambda: H.energy(torch.zeros(4, dtype=torch.float64), project=True), "direction"),
    "not finite": (lambda: H.energy(torch.full((4,), torch.nan, dtype=torch.float64)), "sphere"),
    "another size": (lambda: H.gradient(torch.zeros(2, 5, dtype=torch.float64)), r"\(\.\.\., 4\)"),
    "a scalar": (lambda: H.gradient(torch.tensor(1.0)), "shape"),
    "another dtype": (lambda: H.hessian(H.random_points(1).float()), "float64"),
    "a half": (lambda: SphericalGlass(Mixture.pure(3), 4, dtype=torch.float16), "float32"),
    "one dimension": (lambda: SphericalGlass(Mixture.pure(3), 1), "size"),
    "no mixture": (lambda: SphericalGlass({3: 1.0}, 4), "Mixture"),
    "no weight": (lambda: SphericalGlass(Mixture({3: 0.0}), 4), "positive"),
    "an order it has not": (lambda: H.coefficients(2), "orders"),
    "a negative seed": (lambda: SphericalGlass(Mixture.pure(3), 4, seed=-1), "seed"),
    "order 100 at size 100,000": (lambda: SphericalGlass(Mixture.pure(100), 100_000), "LazyGlass"),
    "order 101": (lambda: SphericalGlass(Mixture.pure(101), 2), "LazyGlass"),
    "an order of ten digits": (lambda: SphericalGlass(Mixture.pure(10**9), 2), "LazyGlass"),
    "powers below the range": (lambda: SphericalGlass(Mixture({3: 1e-320}), 4), "normalized"),
    "powers above the range": (lambda: SphericalGlass(Mixture({3: 1e308}), 4), "normalized"),
    "powers above float32's": (lambda: SphericalGlass(Mixture({3: 1e20}), 4, dtype=torch.float32), "normalized"),
    **{
        f"the device {device!r}": (lambda device=device: SphericalGlass(Mixture.pure(3), 4, device=device), "device")
        for device in ("abc", "cuda:77", "meta", None, 1.5)
    },
    **{
        f"points that are {kind}": (lambda points=points: H.energy(points), r"points must be a tensor or an array")
        for kind, points in {
            "none": None,
            "text": "abc",
            "ragged": [[1.0, 2.0], [3.0]],
            "objects": np.zeros((2, 5), dtype=object),
            "nested": torch.nested.nested_tensor([torch.zeros(4), torch.zeros(4)], layout=torch.jagged),
            "sparse": torch.zeros(2, 5, dtype=torch.float64).to_sparse(),
            "without data": torch.zeros(2, 5, dtype=torch.float64, device="meta"),
        }.items()
    },
    "masked": (lambda: H.energy(np.ma.masked_array(np.ones(4), [0, 0, 0, 1])), "masked"),
    "more points than memory": (lambda: H.random_points(10**15), "GB are free"),
    "a little too large": (lambda: SphericalGlass(Mixture.pure(3), 9_999), "LazyGlass"),
}


@pytest.mark.parametrize(("call", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_arrays_of_any_memory_are_points():
    w = H.random_points(3)
    array = w.numpy()
    locked = array.copy()
    locked.flags.writeable = False
    for same in (array[::-1, ::-1].copy()[::-1, ::-1], locked, array.astype(">f8"), np.asfortranarray(array)):
        assert torch.equal(H.energy(same), H.energy(w))
    assert torch.equal(H.energy(torch._neg_view(-w)), H.energy(w))


@pytest.mark.parametrize("h", [H, LazyGlass(H.mixture, H.size)], ids=["stored", "lazy"])
@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_no_points_give_no_values(h, batch):
    w = torch.zeros(*batch, h.size, dtype=torch.float64)
    assert h.energy(w).shape == batch
    assert h.gradient(w).shape == w.shape
    if isinstance(h, SphericalGlass):
        assert h.hessian(w).shape == (*w.shape, h.size)
        assert h.indices(w).shape == batch
    for run in (descend(h, w), langevin(h, w, 1.0, steps=2)):
        assert run.end.shape == w.shape
        assert "H/Λ" in str(run)


def test_refused_couplings_are_counted_in_bytes(monkeypatch):
    monkeypatch.setattr(check, "free_memory", lambda: 10**6)
    assert SphericalGlass(Mixture.pure(3), 60).nbytes < 500_000
    with pytest.raises(InputError, match=r"C\(102, 3\) numbers .* would take 2\.7 MB, and 1\.0 MB are free"):
        SphericalGlass(Mixture.pure(3), 100)


def test_projection_happens_only_when_asked():
    w = H.random_points(3)
    torch.testing.assert_close(H.energy(7 * w, project=True), H.energy(w), rtol=1e-12, atol=1e-13)


def test_the_folder_shows_its_functions_and_types_only():
    shown = dir(skipglass.glass)
    assert shown == sorted(shown)
    assert {"SphericalGlass", "critical_points", "descend"} <= set(shown)
    assert all(callable(getattr(skipglass.glass, name)) for name in shown)
