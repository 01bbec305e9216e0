"""Which commands there are, and the group that loads a command's module only when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dlrun.cli.options import expanded

# Command → what it does, in the order of the help. The module is dlrun.cli.NAME, its function `command`.
COMMANDS = {
    "train": "Train one model; measure it on the train, dev and test parts.",
    "evaluate": "Measure a trained model again, on its own parts or on another table.",
    "predict": "A trained model's answers for the rows of a table.",
    "holdout": "Estimate the error on rows set aside, once or repeatedly.",
    "crossval": "Estimate the error by k-fold cross-validation, or leaving one out.",
    "bootstrap": "Estimate the error by the bootstrap: out of bag, .632 and .632+.",
    "compare": "Tell whether runs on the same splits differ in error.",
    "gradcheck": "Check the gradient of an experiment against differences of its cost.",
    "diagnose": "What a trained model suffers from, and what to try next.",
    "tune": "Search an experiment's space for the values with the least error.",
    "kmeans": "Find clusters in rows without a target, and how many there are.",
    "minimize": "Follow an optimizer down a cost written on the command line.",
    "plot": "Draw runs: curves, regions, confusion, folds, estimates, trials, checks, paths.",
    "report": "One self-contained HTML page about one run, or about several beside each other.",
    "export": "Write a trained model as ONNX, for other programs to ask.",
    "runs": "The runs below a folder as a table, sorted and filtered; remove some of them.",
    "smooth": "Exponentially weighted averages of a column of a table.",
    "list": "The experiments, data sets and generators there are.",
    "show": "Print an experiment as TOML with every key resolved; run nothing.",
    "info": "Versions, device, BLAS and threads.",
}

HELP = """Run experiments with neural networks: train, evaluate, cross-validate, tune, and check.

EXPERIMENT is a TOML file or the name of a packaged one (see `dlrun list`). Left out, it is dlrun.toml in
the current folder, else the packaged default, digits.
"""

SETTINGS = {"help_option_names": ["-h", "--help"]}


def load(name: str) -> Any:
    """The command `name` as a Click command. Importing its module must be cheap; running it need not be."""
    module = importlib.import_module(f"dlrun.cli.{name}")
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, context_settings={**SETTINGS, **getattr(module, "SETTINGS", {})})(expanded(module.command))
    return typer.main.get_command(app)


class LazyGroup(TyperGroup):
    """The group of all commands. Help and completion of names come from the table alone."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            ctx.fail(unknown_command(name))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def build() -> Any:
    """The group of all commands, with no command loaded yet."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback(cls=LazyGroup, help=HELP, context_settings=SETTINGS)(_group)
    return typer.main.get_command(app)


def _show_version(asked: bool) -> None:
    if asked:
        from dlrun import __version__

        print(f"dlrun {__version__}")
        raise typer.Exit


def _group(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Options that stand before the command."""


def unknown_command(name: str) -> str:
    """What to say about a command that there is not, with the nearest one where there is one."""
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
    return f"no such command {name!r}; {hint}"
