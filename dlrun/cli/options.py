"""The options that commands share, each declared once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where to compute: `auto` takes the GPU if there is a usable one."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"


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
        help="In place of EXPERIMENT: run the defaults on this table (.csv, .parquet, .npz, .npy).",
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
