"""measure: the parts it is made of, what it leaves behind, notes, files and comparisons."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import CASES, ConvNet, Recurrent
from matplotlib.figure import Figure
from torch import nn

import skipglass as sg
from skipglass import paths
from skipglass.errors import InputError, StorageError
from skipglass.models import ResidualMLP
from skipglass.paths import Profile
from skipglass.record import load, save


def batch(model, *shape, classes=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return model.double(), x, torch.arange(len(x)) % classes


def residual_mlp(depth=5, **options):
    model, x, y = batch(ResidualMLP(4, 3, depth=depth, width=6, **options), 7, 4)
    return model, x, y


def same(a, b):
    """Whether two results hold the same, fields of fields included."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return a == b or (a != a and b != b)


@pytest.mark.parametrize("unit", ["blocks", "weights"])
def test_a_profile_is_what_its_parts_say(unit):
    model, x, y = residual_mlp()
    profile = sg.measure(model, x, y, unit=unit)
    leaf = x.clone().requires_grad_()
    loss = nn.functional.cross_entropy(model(leaf), y)
    s = paths.spectrum(loss, leaf, unit=unit, model=model, keep=True)
    part = paths.participation(model, x, y)
    np.testing.assert_allclose(profile.share, s.share, atol=1e-12)
    np.testing.assert_allclose(profile.norm, s.norm, rtol=1e-12)
    np.testing.assert_allclose(profile.share_per_sample, s.share_per_sample, atol=1e-12)
    np.testing.assert_allclose(profile.norm_per_sample, s.gradients.norm(dim=2), rtol=1e-10)
    np.testing.assert_allclose(profile.participation, part.share, atol=1e-12)
    np.testing.assert_allclose(profile.participation_per_sample, part.share_per_sample, atol=1e-12)
    assert profile.blocks == part.blocks == tuple(f"layers.{l}" for l in range(1, 5))
    assert profile.census == paths.census(loss, leaf, unit)
    assert profile.effective_depth == pytest.approx(s.effective_depth, rel=1e-12)
    for fitted in profile.fits:
        assert same(fitted, sg.theory.fit(s.lengths, profile.norm_per_sample**2, profile.census, fitted.reading))
    assert [f.reading for f in profile.fits] == ["coherent", "independent"]
    assert (profile.loss, profile.mode, profile.dtype, profile.samples) == ("cross entropy", "train", "float64", 7)
    assert profile.notes == ()
    if unit == "blocks":
        assert profile.effective_depth == pytest.approx(profile.participation.sum(), rel=1e-10)


def test_a_trace_is_measured_as_often_as_one_likes():
    model, x, y = residual_mlp()
    profile, trace = sg.measure(model, x, y), sg.trace(model, x, y)
    for again in (sg.measure(trace), sg.measure(trace)):
        np.testing.assert_array_equal(again.share, profile.share)
        np.testing.assert_array_equal(again.participation, profile.participation)
        assert (again.model, again.mode) == (profile.model, profile.mode)
    nameless = sg.measure(sg.trace(loss=trace.loss, x=trace.x))
    assert (nameless.mode, nameless.blocks[0]) == ("unknown", "block 0")
    for ask in (sg.measure, paths.participation):
        with pytest.raises(InputError):
            ask(trace, x)


def test_the_package_offers_it_at_the_top():
    assert sg.measure is paths.measure
    assert "measure" in dir(sg)


def test_the_map_ends_in_the_branchings_of_the_whole_network():
    """At the input of a chain's block l only the L - l blocks above it and its own branch can have been crossed."""
    model, x, y = residual_mlp()
    profile = sg.measure(model, x, y)
    L = len(profile.blocks)
    reached = profile.norm_at_blocks > 0
    assert reached.shape[0] == L
    for l in range(L):
        np.testing.assert_array_equal(np.flatnonzero(reached[l]), range(L - l + 1))


def test_the_model_is_left_as_found_also_after_an_error():
    model, x, y = batch(ConvNet(pre=False), 4, 3, 6, 6)
    model.layer1.eval()
    model.fc.weight.requires_grad_(False)
    model.conv.weight.grad = torch.ones_like(model.conv.weight)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    modes, state = [m.training for m in model.modules()], torch.get_rng_state()
    assert sg.measure(model, x, y).mode == "mixed"
    with pytest.raises(InputError):
        sg.measure(model, x, y[:2])
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.conv.weight.grad, torch.ones_like(model.conv.weight))
    assert [p.grad is None for p in model.parameters()].count(False) == 1
    assert not model.fc.weight.requires_grad
    assert not x.requires_grad


def test_what_is_saved_is_what_is_loaded(tmp_path):
    model, x, y = residual_mlp(depth=80)
    profile = sg.measure(model, x, y)
    assert max(profile.census.values()) > 2**64  # beyond any integer of a file
    loaded = Profile.load(profile.save(tmp_path / "profile.nc"))
    for fitted, again in zip(profile.fits, loaded.fits, strict=True):
        np.testing.assert_allclose(again.measured, fitted.measured, rtol=1e-12, atol=1e-300)
    assert same(dataclasses.replace(loaded, fits=()), dataclasses.replace(profile, fits=()))
    assert str(loaded) == str(profile)
    assert profile.to_xarray().identical(loaded.to_xarray())


def test_a_file_that_holds_no_profile_is_refused(tmp_path):
    model, x, y = residual_mlp()
    data = sg.measure(model, x, y).to_xarray()
    save(data, tmp_path / "other.nc", "panel")
    with pytest.raises(StorageError, match="'profile'"):
        Profile.load(tmp_path / "other.nc")
    save(data.drop_vars("share"), tmp_path / "less.nc", "profile")
    with pytest.raises(StorageError, match="share"):
        Profile.load(tmp_path / "less.nc")
    for path in (None, 3):
        for call in (Profile.load, sg.measure(model, x, y).save):
            with pytest.raises(InputError, match="a path"):
                call(path)


FORGED = {
    "no lengths": (lambda d: d.isel(length=slice(0)), "lengths"),
    "a gap": (lambda d: d.isel(length=[0, 2]), "lengths"),
    "lengths below 0": (lambda d: d.assign_coords(length=d.length - 3), "lengths"),
    "lengths in words": (lambda d: d.assign_coords(length=[str(r) for r in d.length.values]), "length"),
    "shares of 2": (lambda d: d.assign(share=2 * d.share), "shares"),
    "no shares": (lambda d: d.assign(share=np.nan * d.share), "shares"),
    "any cancellation": (lambda d: d.assign(share=2 * d.share).assign_attrs(cancellation=np.inf), "shares"),
    "a negative norm": (lambda d: d.assign(norm=-d.norm), "norm"),
    "an infinite norm": (lambda d: d.assign(norm_per_sample=d.norm_per_sample + np.inf), "norm"),
    "another axis": (lambda d: d.drop_vars("participation").assign(participation=("b", np.ones(9))), "participation"),
    "another unit": (lambda d: d.assign_attrs(unit="layers"), "unit"),
    "a large error": (lambda d: d.assign_attrs(error=0.5), "error"),
    "a census of text": (lambda d: d.assign_attrs(census='{"a": "b"}'), "census"),
    "a census that is a list": (lambda d: d.assign_attrs(census="[1]"), "census"),
    "a short census": (lambda d: d.assign_attrs(census='{"0": "1"}'), "census"),
}


@pytest.mark.parametrize(("forge", "words"), FORGED.values(), ids=FORGED)
def test_what_no_measurement_can_have_found_is_refused(tmp_path, forge, words):
    data = sg.measure(*residual_mlp()).to_xarray()
    save(forge(data), tmp_path / "forged.nc", "profile")
    with pytest.raises(StorageError, match=words) as caught:
        Profile.load(tmp_path / "forged.nc")
    assert "\n" not in str(caught.value)


def test_a_file_from_before_results_is_read_or_refused(tmp_path):
    """Its fits were named in an attribute, and what they predict stood in a variable each."""
    old = Path(__file__).parents[1] / "golden" / "profile.nc"
    profile, data = Profile.load(old), load(old)
    for fitted in profile.fits:
        np.testing.assert_array_equal(fitted.predicted, data[f"predicted_{fitted.reading}"])
        assert fitted.beta == data[f"predicted_{fitted.reading}"].attrs["beta"]
    assert same(Profile.load(profile.save(tmp_path / "new.nc")), profile)
    for damaged, fact in (
        (data.drop_vars("predicted_coherent"), "predicted_coherent"),
        (data.drop_vars("norm"), "norm"),
        (data.assign_attrs(fits="["), "measure again"),
        (data.assign_attrs(census="[[]]"), "measure again"),
    ):
        save(damaged, tmp_path / "damaged.nc", "profile")
        with pytest.raises(StorageError, match=fact) as caught:
            Profile.load(tmp_path / "damaged.nc")
        assert "\n" not in str(caught.value)


def test_a_network_without_residual_merges_says_so(tmp_path):
    torch.manual_seed(0)
    model, x, y = batch(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), 6, 4)
    profile = sg.measure(model, x, y)
    assert (profile.lengths.tolist(), profile.share.tolist(), profile.fits) == ([0], [pytest.approx(1, rel=1e-12)], ())
    assert profile.participation.shape == (0,)
    assert "unit='weights'" in " ".join(profile.notes)
    assert "no residual block" in str(profile)
    assert len(profile.figure().axes) == 2
    assert same(Profile.load(profile.save(tmp_path / "p.nc")), profile)
    assert sg.measure(model, x, y, unit="weights").lengths.tolist() == [2]


def sentence(*arguments, **options):
    return str(sg.measure(*arguments, **options)).splitlines()[0]


def test_the_first_sentence_answers_the_question():
    """How deep, along which paths, and which block carries least; also where there is little to say."""
    model, x, y = residual_mlp()
    p = sg.measure(model, x, y)
    run = next(  # the shortest run of lengths that holds three quarters
        (low, low + width)
        for width in range(5)
        for low in sorted(range(5 - width), key=lambda low: -p.share[low : low + width + 1].sum())
        if p.share[low : low + width + 1].sum() >= 0.75
    )
    least = int(np.argmin(p.participation))
    assert sentence(model, x, y) == (
        f"The gradient passes {p.effective_depth:.3g} of 4 blocks on average; most of it flows along paths of "
        f"{run[0]} to {run[1]}. {p.blocks[least]} carries least ({p.participation[least]:.2f})."
    )
    assert "of at most 6 weights on average; most of it flows along paths of" in sentence(model, x, y, unit="weights")
    plain = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    assert sentence(plain, x) == "The gradient passes no blocks: all of it flows along paths of length 0."
    assert sentence(plain, x, unit="weights") == "All of the gradient flows along paths of 2 weights."
    assert sentence(plain[0], x, unit="weights") == "All of the gradient flows along paths of 1 weight."
    assert sentence(model, x, loss_fn=lambda y: (y * 0).sum()) == "The gradient is zero: its shares are undefined."
    one = residual_mlp(depth=2)[0]
    assert "carries least" not in sentence(one, x, y)
    s = paths.spectrum(sg.trace(model, x, y), max_length=1)
    assert str(s).startswith(f"A share of {s.share.sum():.3g} of the gradient flows along paths of 0 to 1 blocks.")


class Closed(nn.Module):
    """x - (1 - gap)·x: two parts that nearly cancel."""

    def __init__(self, gap):
        super().__init__()
        self.f = nn.Linear(3, 3, bias=False)
        self.f.weight.data = -(1 - gap) * torch.eye(3)

    def forward(self, x):
        return x + self.f(x)


def test_a_zero_gradient_leaves_shares_undefined():
    profile = sg.measure(Closed(0.0), torch.ones(2, 3), loss_fn=lambda y: (y * 0).sum())
    assert np.isnan(profile.share).all()
    assert profile.fits == ()
    assert "gradient is zero" in profile.notes[0]
    assert str(profile).startswith("The gradient is zero")
    profile.plot()


def test_cancellation_is_warned_of_and_noted():
    with pytest.warns(UserWarning, match="cancel"):
        profile = sg.measure(Closed(1e-5), torch.ones(2, 3))
    assert any("1/√eps" in note for note in profile.notes)
    assert sg.measure(Closed(1e-2), torch.ones(2, 3)).notes == ()


def test_mixed_samples_and_opaque_operations_are_noted(tmp_path):
    model, x, y = batch(ConvNet(pre=True), 4, 3, 6, 6)
    profile = sg.measure(model, x, y)
    assert not profile.independent_samples
    assert "couples the samples" in profile.notes[0]
    loaded = Profile.load(profile.save(tmp_path / "p.nc"))
    assert [fit.interval for fit in (*profile.fits, *loaded.fits)] == [None] * 4
    model.eval()
    assert any("never seen a batch" in note for note in sg.measure(model, x, y).notes)
    model.train()(x)
    assert sg.measure(model.eval(), x, y).notes == ()
    hidden = sg.measure(Recurrent(), torch.randn(3, 2, 4), unit="weights")
    assert any(f"{hidden.opaque[0]}; paths may be longer" in note for note in hidden.notes)
    assert f"outside of {hidden.opaque[0]}" in str(hidden).splitlines()[0]
    assert "outside" not in str(sg.measure(Recurrent(), torch.randn(3, 2, 4)))


def test_norms_are_drawn_where_one_asks():
    profile = sg.measure(*residual_mlp())
    whole = profile.plot()
    ax = Figure().add_subplot()
    assert profile.plot(ax) is ax
    assert ax.get_title(loc="left") == whole.get_title(loc="left") != ""
    assert len(whole.figure.axes) > 1


@pytest.mark.parametrize(
    ("arguments", "loss"),
    [
        ({}, "the largest output of each sample, summed"),
        ({"targets": torch.ones(7, 3, dtype=torch.float64)}, "mean squared error"),
        ({"loss_fn": torch.sum}, "sum"),
        ({"loss_fn": nn.CrossEntropyLoss(), "targets": torch.zeros(7, dtype=torch.long)}, "CrossEntropyLoss"),
    ],
)
def test_the_loss_is_described(arguments, loss):
    model, x, _ = residual_mlp(depth=2)
    assert sg.measure(model, x, **arguments).loss == loss


def test_profiles_compare_by_the_names_of_blocks():
    model, x, y = residual_mlp()
    before = sg.measure(model, x, y)
    with torch.no_grad():
        model.layers[3].weight *= 4
    after = sg.measure(model, x, y)
    c = before.compare(after)
    assert c.blocks == before.blocks
    np.testing.assert_array_equal(c.there - c.here, after.participation - before.participation)
    assert c.moved[0] == np.argmax(np.abs(after.participation - before.participation))
    assert f"{after.effective_depth:.4g}" in str(c)
    deeper = sg.measure(*residual_mlp(depth=7))
    c = before.compare(deeper)
    assert (c.only_here, c.only_there) == ((), ("layers.5", "layers.6"))
    assert "only in the other: layers.5, layers.6" in str(c)
    with pytest.raises(InputError, match="dict"):
        before.compare({})
    with pytest.raises(InputError, match="unit"):
        before.compare(sg.measure(model, x, y, unit="weights"))
    with pytest.raises(InputError, match=r"layers\.1.*layer1"):
        before.compare(sg.measure(*batch(ConvNet(pre=True).eval(), 4, 3, 6, 6)))


@pytest.mark.parametrize("name", ["GPT-2", "encoder-decoder"])
def test_other_networks_have_four_panels_and_a_colour_scale(name):
    model, _, x = CASES[name].make()
    inputs = {"inputs_embeds": x.detach()} if name == "GPT-2" else x.detach()
    profile = sg.measure(model.eval(), inputs)
    figure = profile.plot().figure
    assert len(figure.axes) == 5
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes[:4])
    assert profile.census == dict(enumerate([1, 4, 6, 4, 1] if name == "GPT-2" else [1, 3, 3, 1]))


def test_mistakes_are_named():
    model, x, y = residual_mlp(depth=2)
    for arguments, words in [
        ((model, x, y, None, "layers"), "unit"),
        ((torch.relu, x), "Module"),
        ((model, x.int()), "raised|embedding"),
        ((model, [1.0]), "tensor"),
        ((model, x.to("meta")), "meta"),
        ((model, x.to_sparse()), "sparse"),
        ((model, x, y, 3), "loss_fn"),
        ((model, x[:, :2]), "raised"),
    ]:
        with pytest.raises(InputError, match=words):
            sg.measure(*arguments)
