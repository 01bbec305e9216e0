"""Draw the table at the end of a real run as docs/images/run.svg: `python docs/images/draw_run.py runs/digits`."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console

from dlrun.reporting.tables import render_rich
from dlrun.reporting.train_report import train_table

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    console = Console(record=True, width=80, file=StringIO(), force_terminal=True)
    console.print("[green]$[/] dlrun train")
    console.print(render_rich(train_table(summary, folder)))
    console.save_svg(str(Path(__file__).with_name("run.svg")), title="dlrun", unique_id="run")
