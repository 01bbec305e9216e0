"""A run's checkpoints on disk: the newest and the one before it, each written whole.

A new checkpoint is written to a temporary file and synced; the present one then becomes the previous one too, by a
hard link, and the new one the present; the folder is synced last. A kill or a full disk at any instant leaves the
present one readable.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.reporting.files import replacing
from dlrun.training.snapshot import Tensors, decode, encode

NEWEST = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
STACKS = "checkpoint-*.safetensors"
EVERY = 5.0  # seconds between checkpoints: what a kill may cost


class Checkpoints:
    """The two checkpoint files of a run's folder, or of one of its stacks by `name`."""

    def __init__(self, folder: Path, *, name: str = "checkpoint", every: float = EVERY) -> None:
        self._newest, self._previous = (folder / file.replace("checkpoint", name, 1) for file in (NEWEST, PREVIOUS))
        self._every, self._last = every, time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is old enough to write another."""
        return time.monotonic() - self._last >= self._every

    def save(self, tensors: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Make this the newest checkpoint."""
        data = encode(tensors, values)
        with replacing(self._newest, keep=self._previous) as temporary:
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

    def __init__(self, folder: Path, *, resumed: bool, every: float = EVERY) -> None:
        self._folder, self._resumed, self._every = folder, resumed, every
        self._stacks: dict[str, Checkpoints] = {}
        self.damaged: list[str] = []  # a sentence for each damaged file that was passed over

    def of(self, numbers: Sequence[int]) -> Checkpoints:
        """Those of the stack with these replicas."""
        name = f"checkpoint-{numbers[0]}-{len(numbers)}"
        if name not in self._stacks:
            self._stacks[name] = Checkpoints(self._folder, name=name, every=self._every)
        return self._stacks[name]

    def load(self, numbers: Sequence[int]) -> tuple[Tensors, dict[str, Any]] | None:
        """Where this stack stood; None where it had not begun, or the run is a new one."""
        found = self.of(numbers).load() if self._resumed else None
        if found is None:
            return None
        tensors, values, damaged = found
        self.damaged += damaged
        return tensors, values

    def remove(self) -> None:
        """A finished run needs none."""
        for path in self._folder.glob(f"{STACKS}"):
            path.unlink(missing_ok=True)
