"""The network as a sum over paths: the list against counting, the verdicts against counterfeits."""

import itertools
import math

import numpy as np
import pytest
import torch

from skipglass.paper import readings
from skipglass.paper.path_sum import configuration_sum, copies, enumerate_paths, mass, open_gates, path_sum
from skipglass.theory import DepthEnsemble


@pytest.fixture(scope="module")
def measured(recordings):
    return {name: recordings[name] for name in ("lemmas", "readings")}


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("p", "n", "d"), [(1, 3, 2), (3, 2, 4), (4, 3, 1)])
def test_the_list_holds_every_path_once(p, n, d):
    for r in range(1, p + 1):
        paths = enumerate_paths(p, n, d, r)
        rows = np.column_stack([paths.inputs, paths.layers, paths.units, paths.below])
        assert len(np.unique(rows, axis=0)) == len(rows) == mass(p, n, d, r) == d * math.comb(p - 1, r - 1) * n**r
        assert (paths.layers[:, 0] == 0).all()
        assert (np.diff(paths.layers) > 0).all()
        assert (paths.below[:, 0] == paths.inputs).all()
        assert (paths.below[:, 1:] == paths.units[:, :-1]).all()


def test_the_sums_are_the_forward_pass_written_out():
    p, n, d, values = 4, 3, 2, np.array([0.7, -0.4, 1.1])
    labels = [np.random.default_rng(l).integers(3, size=(n, n if l else d)) for l in range(p)]  # spread anyhow
    W, x = [values[label] for label in labels], random(10, d)
    h = np.maximum(W[0] @ x.T, 0)
    for weight in W[1:]:
        h = np.maximum(weight @ h, 0) + h
    gates = open_gates(W, x)
    assert path_sum(W, x, gates) == pytest.approx(h.sum(0), rel=1e-12)
    assert configuration_sum(values, labels, x, gates) == pytest.approx(h.sum(0), rel=1e-12)
    assert [copies(labels, 3, r).sum() for r in range(1, p + 1)] == [mass(p, n, d, r) for r in range(1, p + 1)]


def test_the_independent_reading_is_the_mean_over_all_signs_and_gates():
    """Weights ±C, every choice of signs and of gates of a tiny network: E Y_r² = d C(p-1, r-1) b^2r, exactly."""
    p, n, C, rho = 3, 2, 0.8, 0.3
    W = C * np.array(list(itertools.product([-1, 1], repeat=10)))
    gates = np.array(list(itertools.product([0, 1], repeat=p * n))).reshape(-1, p, n)
    probable = (rho**gates * (1 - rho) ** (1 - gates)).prod(axis=(1, 2))
    number = [np.arange(2).reshape(2, 1), np.arange(2, 6).reshape(2, 2), np.arange(6, 10).reshape(2, 2)]
    for r in range(1, p + 1):
        paths = enumerate_paths(p, n, 1, r)
        products = W[:, paths.take(number)].prod(axis=2)  # signs × paths
        is_open = gates[:, paths.layers, paths.units].prod(axis=2)
        parts = products @ is_open.T
        expected = math.comb(p - 1, r - 1) * (rho * n * C**2) ** r
        assert np.square(parts).mean(axis=0) @ probable == pytest.approx(expected, rel=1e-12)


def test_redundant_weights_with_mean_gates_are_the_coherent_reading_to_rounding(measured):
    r = measured["readings"]
    for beta in r.beta.values:
        square, _ = readings.measured(r.power.sel(network="redundant, mean gates", beta=beta))
        assert square == pytest.approx(DepthEnsemble(r.sizes["length"], float(beta)).weights ** 2, abs=1e-12)
        # not only up to a factor: Var Y_r = d (C(p-1, r-1) β^r)²
        one = r.power.sel(network="redundant, mean gates", beta=beta).isel(seed=0, length=slice(0, 2)).values
        p, d = r.attrs["depth"], readings.INPUTS
        assert one == pytest.approx([d * beta**2, d * ((p - 1) * beta**2) ** 2], rel=1e-10)


def test_panels_show_the_recordings(measured):
    r = measured["readings"]
    panels = {panel.name: panel for panel in readings.panels(r)}
    points = panels["reading-coherent"].series[-1]
    first = readings.measured(r.power.sel(network="redundant, drawn gates", beta=r.beta[0]))[0]
    assert points.y[: first.size] == pytest.approx(np.sqrt(first))
    assert panels["reading-coherent"].series[0].y == pytest.approx(DepthEnsemble(first.size, float(r.beta[0])).weights)
    far = panels["reading-distance"].series
    assert {s.name for s in far} == set(readings.NETWORKS) - {"redundant, mean gates"}


def test_measuring_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    readings._mean_square([w[:1] for w in readings._independent(torch.Generator())], "relu", torch.Generator())
    assert torch.equal(before, torch.get_rng_state())
