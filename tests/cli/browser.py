"""A real headless browser for the tests of reports: what it shows, asks for, and complains of."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever is asked for, nothing leaves the machine
    "--no-proxy-server",
]


def find_browser() -> str | None:
    """The program, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


# Loads the report in frames of the widths asked for, measures there, and writes what it found into its own body.
PAGE = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const found = {};
function measure(frame, width) {
  const doc = frame.contentDocument, root = doc.documentElement;
  const inside = (e) => e.closest(".wide, svg");
  const out = [...doc.querySelectorAll("main *")].filter(
    (e) => !inside(e) && e.getBoundingClientRect().right > root.clientWidth + 0.5);
  const style = frame.contentWindow.getComputedStyle(doc.body);
  return {
    scroll: root.scrollWidth, client: root.clientWidth, out: out.map((e) => e.outerHTML.slice(0, 200)),
    background: style.backgroundColor, color: style.color, size: style.fontSize,
    svgs: [...doc.querySelectorAll("figure svg")].map((e) => e.getBoundingClientRect().width),
    text: doc.body.innerText, title: doc.title, hacked: String(frame.contentWindow.hacked),
    scripts: doc.querySelectorAll("script, iframe, object, embed, link, form").length,
    handlers: [...doc.querySelectorAll("*")].filter(
      (e) => [...e.attributes].some((a) => a.name.startsWith("on"))).length,
    images: [...doc.querySelectorAll("img")].map((e) => e.src.slice(0, 30)),
    details: [...doc.querySelectorAll("details")].map((e) => e.getBoundingClientRect().height),
  };
}
function print(frame) {
  for (const sheet of frame.contentDocument.styleSheets)
    for (const rule of sheet.cssRules)
      if (rule.media && rule.media.mediaText === "print") rule.media.mediaText = "all";
}
async function run() {
  for (const width of WIDTHS) {
    const frame = document.createElement("iframe");
    frame.style.cssText = `width:${width}px;height:800px;border:0`;
    frame.src = REPORT;
    document.body.append(frame);
    await new Promise((done) => frame.addEventListener("load", done));
    found[width] = measure(frame, width);
    if (width === WIDTHS[0]) { print(frame); found.print = measure(frame, width); }
    frame.remove();
  }
  const pre = document.createElement("pre");
  pre.id = "found"; pre.textContent = JSON.stringify(found);
  document.body.append(pre);
}
run();
</script></body>"""


@dataclass(frozen=True)
class Visit:
    """`found` by width of the frame (and "print"); what the console said; URLs that a page asked for."""

    found: dict[str, dict[str, Any]]
    console: list[str]
    requests: list[str]


def visit(report: Path, work: Path, *, dark: bool = False, widths: tuple[int, ...] = (390, 1100)) -> Visit:
    """Open a report in frames of these widths."""
    work.mkdir(exist_ok=True)
    page = work / "page.html"
    text = PAGE.replace("WIDTHS", json.dumps(widths)).replace("REPORT", json.dumps(report.as_uri()))
    page.write_text(text, encoding="utf-8")
    log = work / "net.json"
    scheme = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    options = ["--allow-file-access-from-files", "--enable-logging=stderr", f"--log-net-log={log}", *scheme]
    done = browse(work, *options, "--virtual-time-budget=8000", "--window-size=1200,900", "--dump-dom", page.as_uri())
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Visit(json.loads(html.unescape(match[1])), console, requests_of(log))


def requests_of(log: Path) -> list[str]:
    """URLs outside files and data that a page, and not the browser for itself, asked for."""
    text = log.read_text(encoding="utf-8")
    try:
        net = json.loads(text)
    except ValueError:  # the browser ended before it closed the list
        net = json.loads(text.rstrip().rstrip(",") + "]}")
    start = net["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [e["params"] for e in net["events"] if e["type"] == start and "url" in e.get("params", {})]
    return [p["url"] for p in asked if p.get("initiator") != "not an origin" and not p["url"].startswith("data:")]


def browse(work: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the browser with a fresh profile of its own."""
    program = find_browser()
    assert program is not None
    profile = work / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    return subprocess.run(
        [program, *QUIET, f"--user-data-dir={profile}", *options],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "HOME": str(work)},
        check=False,
    )
