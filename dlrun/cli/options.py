"""The options that commands share, each declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from dlrun.reporting.output import Output


class Device(StrEnum):
    """Where to compute: `auto` takes the GPU if there is a usable one."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


class Engine(StrEnum):
    """What makes the steps of a training on the CPU: compiled code, or NumPy's kernels one after another."""

    AUTO = "auto"
    COMPILED = "compiled"
    NUMPY = "numpy"


ExperimentArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="EXPERIMENT",
        help="A TOML file or the name of a packaged experiment; left out, dlrun.toml or digits.",
        show_default=False,
    ),
]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run of `dlrun train`.", show_default=False)
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FILE",
        help="In place of EXPERIMENT: run the defaults on this table (.csv, .tsv, .parquet, .npz, .npy).",
        show_default=False,
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", metavar="COLUMN", help="The column of --data to predict.", show_default=False),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="The run's folder; left out, the next free one in runs/.",
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace the run that is in the --out folder.", show_default=False)
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the run in the --out folder, which was broken off.", show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the experiment, as in optimizer.learning_rate=0.01; may be repeated.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        min=0,
        help="The seed of all random draws, in place of the experiment's.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where to compute; auto takes a GPU if one can be used.")
]
EngineOption = Annotated[
    Engine,
    typer.Option("--engine", help="Steps on the CPU; auto compiles those of longer trainings (the extra `fast`)."),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", min=1, help="Threads to use; left out, one per processor.", show_default=False),
]
PreflightOption = Annotated[
    bool,
    typer.Option("--preflight", help="Check the gradient first, and do not train if it is wrong.", show_default=False),
]
RunCodeOption = Annotated[
    bool,
    typer.Option(
        "--run-code",
        help="Load the Python functions (model.cost, model.activation) that the run's config.toml names.",
        show_default=False,
    ),
]
NoVerifyOption = Annotated[
    bool,
    typer.Option(
        "--no-verify",
        help="Read the run's files also where they have changed since it wrote them.",
        show_default=False,
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option("--quiet", help="No progress bar, no notes; only what was asked for.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.", show_default=False)]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", show_default=False)]


def numbered(out: Path | None) -> Any:
    """The folder of a run as a workflow takes it: without --out, the next free one."""
    from dlrun.workflows.request import Numbered

    return Numbered.NEXT if out is None else out


@dataclass(frozen=True, kw_only=True)
class Training:
    """The options of whatever trains: on what, with which changes, where, and the folder of the run."""

    data: DataOption = None
    target: TargetOption = None
    out: OutOption = None
    overwrite: OverwriteOption = False
    resume: ResumeOption = False
    set_: SetOption = None
    seed: SeedOption = None
    device: DeviceOption = Device.AUTO
    engine: EngineOption = Engine.AUTO
    jobs: JobsOption = None

    def keywords(self) -> dict[str, Any]:
        """As a workflow takes them: without --out, the next free folder is meant."""
        return {
            "data": self.data,
            "target": self.target,
            "out": numbered(self.out),
            "overwrite": self.overwrite,
            "resume": self.resume,
            "set": self.set_,
            "seed": self.seed,
            "device": self.device.value,
            "engine": self.engine.value,
            "jobs": self.jobs,
        }


@dataclass(frozen=True)
class Showing:
    """The options of every command: how its result is shown."""

    quiet: QuietOption = False
    json: JsonOption = False
    debug: DebugOption = False

    @cached_property
    def output(self) -> Output:
        from dlrun.reporting.output import Output

        return Output(quiet=self.quiet, json=self.json)


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `Training` and `Showing` as parameters of its own, as Typer reads them."""
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for parameter in signature.parameters.values():
        group = parameter.annotation
        if not (isinstance(group, type) and is_dataclass(group)):
            parameters.append(parameter)
            continue
        groups[parameter.name] = group
        hints = get_type_hints(group, include_extras=True)
        parameters += [
            parameter.replace(name=each.name, annotation=hints[each.name], default=each.default)
            for each in fields(group)
        ]

    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{each.name: given.pop(each.name) for each in fields(group)})
        command(**given)

    called.__doc__ = command.__doc__
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return called
