"""The `skipglass` command. Commands import what they need when they run, so that --help is instant."""

import sys
from typing import Annotated

import typer

from skipglass import __version__
from skipglass.cli.glass import glass
from skipglass.cli.measure import measure
from skipglass.cli.reproduce import report, reproduce
from skipglass.cli.sweep import sweep
from skipglass.cli.theory import theory
from skipglass.cli.train import train
from skipglass.errors import UserError

__all__ = ["app", "main"]

QUESTION = "How deep is your residual network really, and what does that do to its loss surface?"

app = typer.Typer(
    name="skipglass", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=QUESTION
)
for command in (theory, glass, measure, train, sweep, reproduce, report):
    app.command()(command)


@app.callback(invoke_without_command=True, help=QUESTION)
def version(show: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Show the version if asked to."""
    if show:
        typer.echo(f"skipglass {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a user's mistake ends in one line on stderr and exit status 2, Ctrl-C in status 130."""
    try:
        sys.exit(app(standalone_mode=False))
    except UserError as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped", 130)
    except Exception as error:
        # typer's own errors of usage have it, and no base class of their own that it makes public
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message(), 2)


def _fail(message: str, status: int) -> None:
    if message:  # empty where the help text has been shown instead
        sys.stderr.write(f"skipglass: {' '.join(message.split())}\n")
    sys.exit(status)
