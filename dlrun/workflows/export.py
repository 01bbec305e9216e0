"""A trained model written in a format of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from dlrun.errors import ConfigError, RunError
from dlrun.workflows.results import Result

FORMATS = ("onnx",)


class ExportResult(Result):
    """Where the model was written."""

    @property
    def document(self) -> dict[str, Any]:
        """What the command prints with --json."""
        return dict(self.summary)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.summary["out"])


def export(
    run: str | Path,
    *,
    format: Literal["onnx"] = "onnx",
    out: str | Path | None = None,
    overwrite: bool = False,
    verify: bool = True,
) -> ExportResult:
    """Write a trained model with all that belongs to it: scaling, encoding, class names.

    run  the folder of a run of `dlrun train`, or a model.safetensors
    out  the file; left out, model.onnx in the run's folder, or beside the model file
    """
    from dlrun.formats.onnx import to_onnx
    from dlrun.runs.files import refuse_link, write_whole
    from dlrun.runs.stored import open_model

    if format not in FORMATS:
        raise ConfigError(f"--format {format}: should be one of {', '.join(FORMATS)}")
    source = Path(run)
    model = open_model(source, check=verify)
    path = Path(out) if out is not None else (source / "model.onnx" if source.is_dir() else source.with_suffix(".onnx"))
    if out is None:
        refuse_link(path)
    if path.suffix.lower() != ".onnx":
        raise ConfigError(f"--out {path}: the name of an ONNX file should end in .onnx")
    if path.is_dir():
        raise RunError(f"{path}: is a folder, where --out needs a file")
    if path.exists() and not overwrite:
        raise RunError(f"{path}: this file exists; give --overwrite to replace it, or another --out")
    data = to_onnx(model)
    write_whole(path, data, follow=out is not None)
    prepared = model.preprocessing
    return ExportResult(
        summary={
            "command": "export",
            "run": str(source),
            "format": format,
            "out": str(path),
            "bytes": len(data),
            "inputs": [{"name": each.name, "kind": each.kind} for each in prepared.encoding],
            "outputs": ["label", "probabilities"] if prepared.classes else ["prediction"],
            "classes": list(prepared.classes) or None,
        }
    )
