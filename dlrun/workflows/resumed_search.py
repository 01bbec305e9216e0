"""What `dlrun tune --resume` takes from the folder of a search, and what a new search leaves there for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import ConfigError, RunError
from dlrun.runs.integrity import refuse_odd_files
from dlrun.workflows.request import Numbered, Out
from dlrun.workflows.resuming import another_machine, fingerprint, refuse_run_of_another_command

if TYPE_CHECKING:
    from dlrun.runs.checkpoints import Origin
    from dlrun.runs.folder import RunFolder
    from dlrun.tuning.journal import Journal
    from dlrun.tuning.study import StudyOptions
    from dlrun.tuning.trials import Trial


def stored_config(where: Out, overwrite: bool) -> Path:
    if where is None or isinstance(where, Numbered):
        raise RunError("--resume needs --out DIR, the folder of the search to go on with")
    out = Path(where)
    if overwrite:
        raise ConfigError("--resume and --overwrite contradict each other; should be one of the two")
    refuse_odd_files(out)
    stored = out / "config.toml"
    if not stored.is_file():
        raise RunError(f"{out}: no run to resume: there is no config.toml in this folder")
    refuse_run_of_another_command(out, "tune")
    return stored


def header_of(out: Path) -> dict[str, Any]:
    """The last header in the journal of the folder. RunError without one: nobody knows the search's options."""
    from dlrun.tuning.journal import NAME, read_journal

    path = out / NAME
    records = read_journal(path)[0] if path.is_file() else []
    headers = [record for record in records if record.get("kind") == "search"]
    if not headers:
        raise RunError(f"{path}: tells of no search to go on with; start again with --overwrite, or restore the file")
    return headers[-1]


def options_of(
    given: Mapping[str, Any], header: Mapping[str, Any] | None, is_default: bool
) -> tuple[StudyOptions, bool]:
    """What the command line asks for, on top of what the journal says where a search is resumed."""
    from dlrun.tuning.samplers import EXTENSIBLE
    from dlrun.tuning.study import StudyOptions

    asked = {name: value for name, value in given.items() if value is not None}
    if header is None:
        options = StudyOptions(**asked)
        if "rounds" in asked and options.sampler != "coarse-to-fine":
            raise ConfigError(f"--rounds {options.rounds}: goes with --sampler coarse-to-fine, not {options.sampler}")
        return options, is_default
    recorded = StudyOptions(**header["options"])
    extends = asked.get("trials", 0) > recorded.trials and recorded.sampler in EXTENSIBLE and not recorded.halving
    for name, value in asked.items():
        if value != getattr(recorded, name) and not (name == "trials" and extends):
            more = "; more trials can be asked for of random and sobol searches without --halving"
            raise ConfigError(
                f"--{name.replace('_', '-')} {value}: the search to resume has {getattr(recorded, name)}; "
                f"leave it out{more if name == 'trials' else ''}"
            )
    return replace(recorded, trials=max(recorded.trials, asked.get("trials", 0))), header["default_space"]


def begin(
    folder: RunFolder,
    journal: Journal,
    options: StudyOptions,
    *,
    origin: Origin,
    is_default: bool,
    config: str,
    note: Callable[[str], None],
) -> list[Trial]:
    """Write what a resumption needs, or check it; the trials that the journal knows."""
    from dlrun.tuning.trials import Trial

    headers = [record for record in journal.records if record["kind"] == "search"]
    header = {"kind": "search", "options": asdict(options), "data": origin.data, "default_space": is_default}
    config = folder.file("config.toml").read_text(encoding="utf-8") if headers else config
    header |= {"machine": dict(origin.machine), "run": fingerprint("tune", config, origin.code)}
    if any(each["data"] != origin.data for each in headers):
        raise RunError(
            f"{journal.path}: the data has changed since the search began, so its trials cannot be compared with new "
            "ones; start a new search"
        )
    if any(each.get("run") != header["run"] for each in headers):
        raise RunError(
            f"{journal.path}: is the journal of another search than config.toml tells of; start a new search with "
            "--overwrite"
        )
    if headers and (told := another_machine(headers[-1].get("machine", {}), origin.machine)):
        note(told)
    if not headers or headers[-1] != header:
        journal.append(header)
    if not headers:  # last, for it makes the folder one to resume: with the options in the journal and no others
        folder.write_text("config.toml", config)
    trials = [record for record in journal.records if record["kind"] == "trial"]
    return [Trial.from_json({key: value for key, value in each.items() if key != "kind"}) for each in trials]
