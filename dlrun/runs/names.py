"""The names of the files that a run may have in its folder. All others there are the user's own."""

from __future__ import annotations

from fnmatch import fnmatchcase

from dlrun.runs import pictures

LOCK = ".lock"
TENSORBOARD = "tensorboard"
STACKS = "checkpoint-*.safetensors"  # one for those of the checkpoints of stacks

# All that --overwrite may remove, in this order: without config.toml nothing is resumed, without a summary nothing is
# a finished run, so that one that is killed here leaves no folder that passes for either.
RUN_FILES = (
    "config.toml",
    "summary.json",
    "metrics.csv",
    "model.safetensors",
    "checkpoint.safetensors",
    "checkpoint.previous.safetensors",
    "predictions.csv",
    "folds.csv",
    "replicates.csv",
    "trials.csv",
    "best.toml",
    "journal.jsonl",
    "rounds.csv",
    "outer.csv",
    "gradcheck.csv",
    "epsilon_sweep.csv",
    "learning_curve.csv",
    "layers.csv",
    "path.csv",
    "steps.csv",
    "centres.csv",
    "assignments.csv",
    "starts.csv",
    "frame.csv",
    "elbow.csv",
    "report.html",
    "model.onnx",
    *pictures.FILES,
)


def is_of_a_run(name: str) -> bool:
    """Whether a run may have a file of this name, its lock and its folder for TensorBoard among them.

    In upper case too: there are file systems for which REPORT.HTML is report.html.
    """
    lower = name.lower()
    return lower in (LOCK, TENSORBOARD, *RUN_FILES) or fnmatchcase(lower, STACKS)
