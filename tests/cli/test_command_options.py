"""The options of the commands: their names stay, the settings classes declare them, and help needs no torch."""

import re
import subprocess
import sys

import pytest

from skipglass.paper.resnet_runs import LIVE
from skipglass.training import Grid, ResNetSettings, Settings, options

NAMES = {
    "theory": "depth beta reading mass json",
    "glass": "orders depth beta field size samples starts steps max-starts seed workers out json",
    "measure": "input targets unit train eval batch tokens shape seed out json",
    "train": "out epochs seed depth width learning-rate momentum weight-decay batch-size resume overwrite seeds "
    "normalization placement scale classes separation dtype data download preactivation subset "
    "no-scale-decay intervention device precision compile every tensorboard",
    "sweep": "out separations rates variants depths seeds seed epochs width workers cluster json",
    "reproduce": "out seeds epochs resume dataset depth width subset data device recorded workers",
    "report": "",
}
TINY = ["--depth", 2, "--width", 4, "--epochs", 1]


@pytest.fixture(scope="module")
def help_of(skipglass):
    """Return the help of a command as one line, without the frames around its panels."""

    def read(command):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "200")
            status, out, _ = skipglass(command, "--help")
        assert status == 0
        return " ".join(out.replace("│", " ").split())

    return read


@pytest.mark.parametrize("command", NAMES)
def test_a_command_has_the_options_it_always_had(help_of, command):
    shown = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", help_of(command)))
    named = {f"--{name}" for name in NAMES[command].split()} | {"--help"}
    # a help text may speak of options that the table of the command lists anyway
    assert shown == named


@pytest.mark.parametrize(("command", "settings"), [("train", Settings), ("train", ResNetSettings), ("sweep", Grid)])
def test_every_setting_is_an_option_with_its_own_help(help_of, command, settings):
    shown = help_of(command)
    for name, rules in options(settings).items():
        if rules["flag"] is not None and name != "seeds":
            assert rules["flag"] in shown
            assert rules.get("flag_help", rules["help"]) in shown


def test_help_says_to_what_an_option_applies_and_its_default(help_of):
    shown = help_of("train")
    assert "Number of weight layers, 6n + 2. Default: MLPs 10, ResNets 32." in shown
    assert "Exclude batch-norm scales from weight decay. For ResNets only." in shown
    assert "Default: 2,4,8,16." in help_of("sweep")
    assert "Default: critical points 6, descents 2000." in help_of("glass")


def test_reproduce_shows_the_defaults_of_what_it_trains(help_of):
    shown, paper = help_of("reproduce"), ResNetSettings("cifar10")
    for name in ("epochs", "depth", "width"):
        assert f"digits {getattr(LIVE, name):g}, CIFAR {getattr(paper, name):g}." in shown
    assert f"Default: {LIVE.dataset}." in shown


@pytest.mark.parametrize("command", NAMES)
def test_help_needs_no_torch(command):
    code = (
        f"import sys; sys.modules.update(torch=None, xarray=None, matplotlib=None); sys.argv = ['skipglass', "
        f"'{command}', '--help']; from skipglass.cli.main import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Usage" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "digits", "--width", "inf"], "width must be an integer"),
        (["train", "digits-resnet", "--width", "nan"], "width must be a finite number"),
        (["train", "digits", "--momentum", "-1"], "momentum"),
        (["train", "digits", "--normalization", "batc"], "did you mean 'batch'"),
        (["train", "digits", "--device", "cpu", "--data", "x"], "--device, --data does not apply to digits"),
        (["sweep", "--depths", ""], "depths"),
        (["sweep", "--depths", "3,3"], "depths must differ"),
        (["sweep", "--seeds", "1"], "at least 2 seeds"),
        (["sweep", "--workers", "0"], "workers"),
        (["reproduce", "figure2", "--depth", "9"], "6n + 2"),
        (["reproduce", "figure2", "--workers", "0"], "workers"),
        (["glass", "--orders", "3", "--steps", "5"], "--steps does not apply to critical points"),
        (["glass", "--orders", "3", "--beta", "1"], "--beta does not apply to critical points"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_line_and_status_2(skipglass, arguments, words, tmp_path):
    status, out, err = skipglass(*arguments, "--out", tmp_path)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_whole_number_may_be_written_as_a_float_where_the_other_networks_take_one(skipglass, tmp_path):
    assert skipglass("train", "gaussians", "--out", tmp_path, *TINY, "--width", "4.0")[0] == 0
