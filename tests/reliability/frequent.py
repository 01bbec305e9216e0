"""dlrun with a checkpoint after every epoch: `python frequent.py train iris …`, to be killed by tests."""

from dlrun.cli.app import main
from dlrun.runs.checkpoints import Checkpoints

if __name__ == "__main__":
    Checkpoints.due = property(lambda self: True)  # type: ignore[method-assign, assignment]
    main()
