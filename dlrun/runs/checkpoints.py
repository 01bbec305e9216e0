"""A run's checkpoints on disk: the newest and the one before it, each written whole.

A new checkpoint is written to a temporary file and synced; the present one then becomes the previous one too, by a
hard link, and the new one the present; the folder is synced last. A kill or a full disk at any instant leaves the
present one readable.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.runs.files import replacing
from dlrun.runs.names import STACKS
from dlrun.training.snapshot import Tensors, decode, encode

NEWEST = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
EVERY = 5.0  # seconds between checkpoints: what a kill may cost


@dataclass(frozen=True)
class Origin:
    """What a checkpoint comes from.

    data     the hash of the data
    code     that of the user's own functions, which their names alone do not tell; empty where there are none
    run      that of the command with its options and of the resolved experiment: another's checkpoint is refused;
             None where any will do
    machine  the device, threads and versions that computed it
    """

    data: str = ""
    code: str = ""
    run: str | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The two checkpoint files of a run's folder, or of one of its stacks by `name`."""

    def __init__(
        self, folder: Path, origin: Origin = Origin(), *, name: str = "checkpoint", every: float = EVERY
    ) -> None:
        self._newest, self._previous = (folder / file.replace("checkpoint", name, 1) for file in (NEWEST, PREVIOUS))
        self._origin = {"data": origin.data, "run": origin.run, "name": name, "machine": dict(origin.machine)}
        self._every, self._last = every, time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is old enough to write another."""
        return time.monotonic() - self._last >= self._every

    def save(self, tensors: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Make this the newest checkpoint."""
        data = encode(tensors, {**values, **self._origin})
        with replacing(self._newest, keep=self._previous, follow=False) as temporary:
            temporary.write_bytes(data)
        self._last = time.monotonic()

    def load(self) -> tuple[Tensors, dict[str, Any], list[str]] | None:
        """The newest readable checkpoint, with a sentence for each damaged one passed over; None without any.

        Raises `RunError` where there are checkpoints and none can be read; no file is touched.
        """
        damaged = []
        for path in (self._newest, self._previous):
            try:
                whole = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                damaged.append(f"{path}: {error.strerror or error}")
                continue
            try:
                tensors, values = decode(whole)
            except ValueError as error:
                damaged.append(f"{path}: the checkpoint is damaged: {error}")
                continue
            whose = self._origin["run"], self._origin["name"]
            if self._origin["run"] is not None and (values.get("run"), values.get("name")) != whose:
                raise RunError(
                    f"{path}: is the checkpoint of another run than config.toml tells of, of other models of it, or "
                    "of other Python functions; "
                    "remove it to begin this run again, or start anew with --overwrite"
                )
            return tensors, values, damaged
        if damaged:
            raise RunError("; ".join(damaged) + "; start again with --overwrite")
        return None

    def remove(self) -> None:
        """A finished run needs none."""
        for path in (self._newest, self._previous):
            path.unlink(missing_ok=True)


class StackCheckpoints:
    """Checkpoints of the stacks of one run, each under its own name: its first replica's number and its size.

    Stacks may be trained in processes of their own: each writes its own files and nobody else's.
    """

    def __init__(self, folder: Path, origin: Origin, *, resumed: bool) -> None:
        self._folder, self._origin, self._resumed = folder, origin, resumed
        self._stacks: dict[str, Checkpoints] = {}

    def _named(self, name: str) -> Checkpoints:
        if name not in self._stacks:
            self._stacks[name] = Checkpoints(self._folder, self._origin, name=name)
        return self._stacks[name]

    def of(self, numbers: Sequence[int]) -> Checkpoints:
        """Those of the stack with these replicas."""
        return self._named(f"checkpoint-{numbers[0]}-{len(numbers)}")

    def examine(self) -> Iterator[tuple[dict[str, Any], list[str]]]:
        """Before a run is resumed: values and damages of each stack. RunError where a stack has nothing readable."""
        names = {path.name.split(".")[0] for path in self._folder.glob(STACKS)}
        for name in sorted(names):
            found = self._named(name).load()
            if found is not None:
                yield found[1], found[2]

    def load(self, numbers: Sequence[int]) -> tuple[Tensors, dict[str, Any]] | None:
        """Where this stack stood; None where it had not begun, or the run is a new one."""
        found = self.of(numbers).load() if self._resumed else None
        return found[:2] if found is not None else None

    def remove(self) -> None:
        """A finished run needs none."""
        for path in self._folder.glob(STACKS):
            path.unlink(missing_ok=True)
