"""The kinds of pictures there are, and the files that they are kept in beside a run."""

NAMES = (
    "cost",
    "error",
    "learning_rate",
    "regions",
    "line",
    "confusion",
    "reliability",
    "predicted",
    "folds",
    "bootstrap",
    "parallel",
    "slices",
    "rounds",
    "gradcheck",
    "epsilon",
    "layers",
    "learning_curve",
    "path",
    "steps",
    "descent",
    "clusters",
    "elbow",
    "smooth",
)
# What `dlrun plot` leaves in a run's folder where no other file is asked for.
FILES = tuple(f"plot-{name}.png" for name in NAMES)
