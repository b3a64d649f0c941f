"""The command as tests call it: in this process, or in one of its own where a signal or a limit is to reach it."""

import io
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from skipglass.cli.main import main


@pytest.fixture(scope="session")
def skipglass():
    """Run the command in this process, where torch is imported already; return status, stdout and stderr."""

    def run(*arguments):
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["skipglass", *map(str, arguments)])
            with pytest.raises(SystemExit) as end:
                main()
        return end.value.code or 0, out.getvalue(), err.getvalue()

    return run


@pytest.fixture(scope="session")
def start():
    """Start the command in a process of its own, which takes Ctrl-C also where the tests run in the background."""

    def begin(*arguments, before=lambda: None, **options):
        def prepare():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            before()

        code = "from skipglass.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
            **options,
        )

    return begin
