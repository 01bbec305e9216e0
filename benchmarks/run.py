"""All measurements of speed, one after another. Writes benchmarks/results/; about half an hour.

python -m benchmarks.run [NAME …]
"""

from __future__ import annotations

import importlib
import sys

SPEED = ("commands", "steps", "growth", "crossval", "tune", "gradcheck")


def main() -> None:
    """Run the named benchmarks, or all of them."""
    for name in sys.argv[1:] or SPEED:
        print(f"== {name}", flush=True)
        module = importlib.import_module(f"benchmarks.{name}")
        sys.argv = [module.__name__]
        module.main()


if __name__ == "__main__":
    main()
