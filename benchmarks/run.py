"""All measurements of speed, one after another. Writes benchmarks/results/; about half an hour.

python -m benchmarks.run [NAME …]
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

if not __package__:  # run as a file: its siblings are found beside it
    sys.path.insert(0, str(Path(__file__).parent.parent))

SPEED = ("commands", "steps", "engines", "growth", "crossval", "tune", "gradcheck")


def main() -> None:
    """Run the named benchmarks, or all of them."""
    for name in sys.argv[1:] or SPEED:
        print(f"== {name}", flush=True)
        module = importlib.import_module(f"benchmarks.{name}")
        sys.argv = [module.__name__]
        module.main()


if __name__ == "__main__":
    main()
