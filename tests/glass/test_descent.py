"""Descent and Langevin dynamics: against closed forms, quadrature, and the laws they must keep."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy.integrate import quad

from skipglass.errors import InputError
from skipglass.glass import LazyGlass, SphericalGlass, Trajectory, descend, langevin
from skipglass.theory import DepthEnsemble, Mixture, ground_state_energy, trivialization_threshold


@pytest.fixture(scope="module")
def glass():
    return SphericalGlass(Mixture.pure(3), 30, seed=0)


@pytest.fixture(scope="module")
def descent(glass):
    return descend(glass, glass.random_points(12))


def test_descent_ends_in_minima(glass, descent):
    assert descent.converged.all()
    assert (descent.gradient_norms[:, -1] <= 1e-7 * math.sqrt(3)).all()
    assert glass.gradient(descent.end).norm(dim=-1).max() < 1e-6
    assert (glass.indices(descent.end) == 0).all()
    np.testing.assert_allclose(descent.energy, glass.energy(descent.end) / 30, rtol=1e-12)
    assert (descent.energy > ground_state_energy(3) - 0.2).all()  # it fluctuates at Λ = 30


def test_energies_never_rise_and_stop_with_the_run(descent):
    assert (np.diff(descent.energies) <= 1e-13).all()
    for u, steps in zip(descent.energies, descent.steps, strict=True):
        assert (u[steps:] == u[-1]).all()
        assert len(set(u[: steps // 2].tolist())) == steps // 2
    assert (descent.evaluations > descent.steps).all()


def test_each_start_goes_its_own_way(glass, descent):
    alone = descend(glass, glass.random_points(12)[7])
    assert alone.energies.shape == (alone.steps + 1,)
    assert alone.steps == descent.steps[7]
    np.testing.assert_allclose(alone.energy, descent.energy[7], rtol=1e-9)


def test_a_field_has_one_minimum_where_calculus_puts_it():
    h = SphericalGlass(Mixture.pure(1), 10, seed=1)
    run = descend(h, h.random_points(4))
    J = h.coefficients(1)[1]
    np.testing.assert_allclose(run.energy, -float(J.norm()) / math.sqrt(10), rtol=1e-12)
    torch.testing.assert_close(run.end, (-J * math.sqrt(10) / J.norm()).expand(4, 10), rtol=0, atol=1e-5)


def test_a_quadratic_form_ends_in_its_lowest_eigenvector():
    h = SphericalGlass(Mixture.pure(2), 8, seed=2)
    index, c = h.coefficients(2)
    A = torch.zeros(8, 8, dtype=torch.float64)
    A[index[:, 0], index[:, 1]] = c
    lowest = torch.linalg.eigvalsh((A + A.T) / 2)[0]
    run = descend(h, h.random_points(5), steps=3000)
    np.testing.assert_allclose(run.energy, float(lowest), rtol=1e-10)


def test_below_the_threshold_every_start_ends_in_one_minimum_above_it_not():
    """Two starts in one LazyGlass, the second given the first's whole trajectory; Λ = 2000."""
    threshold, overlaps = trivialization_threshold(100), {}
    for factor in (0.4, 5.0):
        m = DepthEnsemble(100, factor * threshold).mixture(field=True)
        z = LazyGlass(m, 2000, seed=0)
        a, b = (descend(z, w, steps=20) for w in z.random_points(2))
        overlaps[factor] = float(a.end @ b.end) / 2000
        if factor < 1:
            assert a.converged
            np.testing.assert_allclose([a.energy, b.energy], -math.sqrt(m.nu1), atol=4 / math.sqrt(2000))
    assert overlaps[0.4] > 1 - 1e-5
    assert overlaps[5.0] < 0.5


def test_lazy_descent_converges_to_its_noise_and_reaches_what_a_stored_glass_reaches():
    m = Mixture({1: 0.9, 3: 0.1})
    lazy = [descend(z, z.random_points(1)[0]) for z in (LazyGlass(m, 100, seed=s) for s in range(12))]
    stored = [descend(h, h.random_points(1)[0]) for h in (SphericalGlass(m, 100, seed=s) for s in range(12))]
    assert all(run.converged for run in lazy + stored)
    a, b = ([float(run.energy) for run in runs] for runs in (lazy, stored))
    error = math.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 12)
    assert abs(np.mean(a) - np.mean(b)) < 3.5 * error


def test_a_run_that_is_out_of_steps_says_so(glass):
    run = descend(glass, glass.random_points(2), steps=3)
    assert not run.converged.any()
    assert run.steps.tolist() == [3, 3]
    assert "no" in str(run)
    assert descend(glass, run.end, steps=0).energies.shape == (2, 1)


def test_progress_is_told(glass):
    seen = []
    descend(glass, glass.random_points(1), steps=4, on_step=seen.append)
    langevin(glass, glass.random_points(1), 1.0, steps=3, on_step=seen.append)
    assert seen == [1, 2, 3, 4, 1, 2, 3]


def mean_energy_of_a_field(strength, T):
    """⟨H⟩ for H = strength · cos θ on S² (von Mises and Fisher): 1/coth form by quadrature."""
    weight = [quad(lambda c, k=k: (strength * c) ** k * math.exp(-strength * c / T), -1, 1)[0] for k in (0, 1)]
    return weight[1] / weight[0]


def gibbs_mean(h, T, n=200):
    """⟨H⟩ under exp(-H/T) on ‖w‖² = 3, by Gauss–Legendre in cos θ and equal steps in φ."""
    c, weight = np.polynomial.legendre.leggauss(n)
    phi = np.arange(2 * n) * math.pi / n
    s = np.sqrt(1 - c**2)[:, None]
    w = np.stack([s * np.cos(phi), s * np.sin(phi), np.broadcast_to(c[:, None], (n, 2 * n))], axis=-1)
    H = h.energy(torch.from_numpy(w * math.sqrt(3)), project=True).numpy()
    boltzmann = np.exp(-(H - H.min()) / T) * weight[:, None]
    return (H * boltzmann).sum() / boltzmann.sum()


@pytest.mark.parametrize("time_step", [0.05, 0.6])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_langevin_keeps_the_gibbs_law_whatever_the_time_step(order, time_step):
    """4000 chains at Λ = 3: the mean energy of their end points against quadrature."""
    T = 2.0
    h = SphericalGlass(Mixture.pure(order), 3, seed=4)
    exact = gibbs_mean(h, T)
    if order == 1:
        strength = float(h.coefficients(1)[1].norm()) * math.sqrt(3)
        np.testing.assert_allclose(exact, mean_energy_of_a_field(strength, T), rtol=1e-10)
    run = langevin(h, h.random_points(4000), T, steps=round(6 / time_step) + 20, time_step=time_step)
    end = run.energy * 3
    z = (end.mean() - exact) / (end.std(ddof=1) / math.sqrt(4000))
    assert abs(z) < 4, f"⟨H⟩ = {end.mean():.4f}, exact {exact:.4f}, z = {z:.1f}"
    assert (0.9 < run.acceptance.mean() < 1) if time_step == 0.05 else (0.2 < run.acceptance.mean() < 0.98)
    assert (run.end.norm(dim=-1) - math.sqrt(3)).abs().max() < 1e-12


@pytest.mark.parametrize(("temperature", "steps"), [(1.0, 2000), (1.5, 600), (2.0, 600)])
def test_the_default_step_equilibrates_the_3_spin(temperature, steps):
    """Above the glass transition the mean energy is that of the annealed model, H/Λ = -1/T up to O(1/Λ)."""
    means = []
    for seed in range(6):
        h = SphericalGlass(Mixture.pure(3), 100, seed=seed)
        run = langevin(h, h.random_points(8, seed=seed), temperature, steps=steps, seed=seed)
        means.append(run.energies[:, steps // 2 :].mean())
    assert np.mean(means) == pytest.approx(-1 / temperature, abs=0.035)


def test_langevin_is_hot_at_a_high_temperature_and_cold_at_a_low_one():
    m = Mixture({1: 0.6, 3: 0.4})
    h, z = SphericalGlass(m, 40, seed=0), LazyGlass(m, 40, seed=0)
    start = h.random_points(3)
    hot, cold = (langevin(h, start, T, steps=400).energies[:, -200:].mean() for T in (50.0, 0.01))
    assert abs(hot) < 0.25
    assert cold < -1
    lazy = langevin(z, start[0], 0.1, steps=40)
    assert lazy.energies.shape == (41,)
    assert lazy.acceptance > 0.5
    assert lazy.energy < lazy.energies[0] - 0.3


def test_thermal_noise_comes_from_its_seed(glass):
    w = glass.random_points(2)
    a, b, c = (langevin(glass, w, 1.0, steps=5, seed=s).energies for s in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a[:, 1:] != c[:, 1:]).any()


def test_the_start_is_left_as_it_was(glass):
    w = glass.random_points(2)
    kept = w.clone()
    descend(glass, w, steps=3)
    langevin(glass, w, 1.0, steps=3)
    assert torch.equal(w, kept)


@pytest.mark.parametrize("temperature", [1e4, 1e308])
def test_hot_steps_are_short_enough_to_be_taken(glass, temperature):
    run = langevin(glass, glass.random_points(20), temperature, steps=20)
    assert run.acceptance.mean() > 0.5
    assert np.isfinite(run.energies).all()


@pytest.mark.parametrize("method", [descend, lambda h, w, **k: langevin(h, w, 1.0, **k)])
def test_starts_off_the_sphere_are_projected_only_when_asked(glass, method):
    w = 3 * glass.random_points(2)
    with pytest.raises(InputError, match="project=True"):
        method(glass, w, steps=1)
    torch.testing.assert_close(method(glass, w, steps=0, project=True).end, w / 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda h, w: descend(h, w[:, :5]), "shape"),
        (lambda h, w: descend(h, None), "points"),
        (lambda h, w: descend(3, w), "SphericalGlass or a LazyGlass, not int"),
        (lambda h, w: langevin(h.mixture, w, 1.0), "not Mixture"),
        (lambda h, w: descend(h, w.float()), "float64"),
        (lambda h, w: descend(h, w, steps=-1), "steps"),
        (lambda h, w: descend(h, w, tolerance=0), "tolerance"),
        (lambda h, w: langevin(h, w, 0.0), "temperature"),
        (lambda h, w: langevin(h, w, -1.0), "temperature"),
        (lambda h, w: langevin(h, w, math.nan), "temperature"),
        (lambda h, w: langevin(h, w, 1.0, time_step=0.0), "time_step"),
        (lambda h, w: langevin(h, w, 1.0, time_step=1e300), "time_step 1e\\+300 .* radians"),
        (lambda h, w: langevin(h, w, 1.0, seed=-1), "seed"),
    ],
)
def test_bad_input_is_refused_in_clear_words(glass, call, words):
    with pytest.raises(InputError, match=words):
        call(glass, glass.random_points(2))


def test_a_trajectory_prints_stores_and_draws_itself(descent, glass):
    text = str(descent)
    assert text.startswith("12 of 12 runs converged")
    assert "descent, Λ = 30, tolerance 1e-07" in text
    assert "\n11 " in text  # the last start
    data = descent.to_xarray()
    np.testing.assert_array_equal(data.energy, descent.energies)
    assert data.end.shape == (12, 30)
    assert data.attrs["method"] == "descent"
    assert data.attrs["tolerance"] == 1e-7
    ax = descent.plot()
    assert len(ax.lines) == 10
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), descent.energies[0, : descent.steps[0] + 1])
    plt.close(ax.figure)
    run = langevin(glass, glass.random_points(1)[0], 0.5, steps=3)
    assert run.to_xarray().acceptance.shape == (1,)
    assert "temperature 0.5" in str(run)


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_a_trajectory_comes_back_from_its_file(glass, batch, tmp_path):
    """With its starts along one dimension, whatever their batch."""
    start = glass.random_points(6)[: math.prod(batch)].reshape(*batch, 30)
    for run in (descend(glass, start, steps=4), langevin(glass, start, 0.5, steps=3)):
        back = Trajectory.load(run.save(tmp_path / "run.nc"))
        assert (back.method, back.settings) == (run.method, run.settings)
        for name in ("energies", "gradient_norms", "end"):
            wanted = np.asarray(getattr(run, name))
            np.testing.assert_array_equal(getattr(back, name), wanted.reshape(-1, wanted.shape[-1]))
        for name in ("steps", "converged", "evaluations", "acceptance", "energy"):
            if getattr(run, name) is not None:
                np.testing.assert_array_equal(getattr(back, name), np.ravel(getattr(run, name)))
        assert (back.acceptance is None) == (run.acceptance is None)
