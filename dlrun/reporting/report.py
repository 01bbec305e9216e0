"""A page about one run, or about several beside each other, in one HTML file that needs nothing else.

No script, no request: a Content-Security-Policy in the page forbids both, so that even a mistake in the escaping
could run nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlrun import __version__
from dlrun.errors import DlrunError
from dlrun.records import counted
from dlrun.reporting.plots.kinds import KINDS, Options, choose, fitting
from dlrun.reporting.plots.picture import drawn
from dlrun.reporting.plots.source import Source
from dlrun.reporting.report_figures import comparison_table, headline, warnings_of
from dlrun.reporting.report_html import Markup, escaped, facts, html_table, inline_picture, isolated, tag
from dlrun.reporting.report_style import CSS
from dlrun.reporting.report_tables import figures_tables
from dlrun.reporting.train_report import figure

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
SCALE = 0.8  # pictures are smaller here than in files, and their letters must be legible on a phone
# Of several runs together: the pictures in which they are overlaid.
TOGETHER = ("cost", "error", "folds", "reliability", "predicted")


def report_page(sources: Sequence[Source], *, title: str | None = None, verdicts: Sequence[str] = ()) -> str:
    """The page. `verdicts` are sentences on how the runs compare."""
    names = ", ".join(dict.fromkeys(str(source.summary.get("name") or source.called) for source in sources))
    heading = title or (f"{names}: {sources[0].command}" if len(sources) == 1 else f"{len(sources)} runs: {names}")
    parts: list[Markup] = []
    if len(sources) > 1:
        parts.append(_together(sources, verdicts))
    parts += [_run(source, index, several=len(sources) > 1) for index, source in enumerate(sources)]
    lead = tag("p", f"Made by dlrun {__version__} from the files that the runs left.", class_="lead")
    body = tag("main", tag("h1", isolated(heading)), lead, _contents(sources), *parts)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", heading),
        tag("style", Markup(CSS)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def _contents(sources: Sequence[Source]) -> Markup:
    if len(sources) == 1:
        return Markup()
    links = [("#together", "Beside each other"), *((f"#run-{i}", source.called) for i, source in enumerate(sources))]
    return tag("nav", tag("ul", *(tag("li", tag("a", isolated(text), href=to)) for to, text in links)))


def _together(sources: Sequence[Source], verdicts: Sequence[str]) -> Markup:
    said = [tag("p", isolated(verdict)) for verdict in verdicts]
    return tag(
        "section",
        tag("h2", "Beside each other"),
        html_table(comparison_table(sources)),
        *([tag("h3", "Is the difference real?"), *said] if said else []),
        _plots(sources, [kind for kind in TOGETHER if _common(sources, kind)], "together"),
        id="together",
    )


def _common(sources: Sequence[Source], kind: str) -> bool:
    try:
        return choose(sources, kind) == kind
    except DlrunError:
        return False


def _run(source: Source, index: int, *, several: bool) -> Markup:
    """All about one run."""
    warnings = [tag("p", isolated(text), class_="warning") for text in warnings_of(source)]
    kinds = [kind for kind in fitting(source) if kind != "learning_rate" or _changes(source)]
    return tag(
        "section",
        tag("h2", isolated(source.called if several else "What was run")),
        facts(_facts(source)),
        *warnings,
        *map(html_table, figures_tables(source)),
        _plots([source], kinds, f"run{index}"),
        *_files(source),
        id=f"run-{index}",
    )


def _changes(source: Source) -> bool:
    """Whether the learning rate was not the same throughout: only then is it worth a picture."""
    return len(set(source.table("metrics.csv").text("learning_rate").tolist()) - {""}) > 1


def _facts(source: Source) -> list[tuple[str, Any]]:
    summary = source.summary
    top = headline(source)
    error = None
    if top.error is not None:
        error = f"{figure(top.error)} ({top.measured})"
    baseline = None if top.baseline is None else f"{figure(top.baseline)} ({top.baseline_kind})"
    threads = summary.get("threads")
    device = summary.get("device")
    return [
        ("experiment", summary.get("name")),
        ("command", f"dlrun {source.command}"),
        ("error", error),
        ("baseline", baseline),
        ("task", summary.get("task")),
        ("target", summary.get("target")),
        ("model", summary.get("model")),
        ("loss", summary.get("loss")),
        ("parameters", summary.get("parameters")),
        ("seed", summary.get("seed")),
        ("seconds", summary.get("seconds")),
        ("device", f"{device}, {counted(threads, 'thread')}" if threads else device),
        ("folder", source.path),
        ("to run it again", summary.get("again")),
    ]


def _plots(sources: Sequence[Source], kinds: Sequence[str], prefix: str) -> Markup:
    """Each picture with its caption; one that cannot be drawn says why in its place."""
    found = []
    for kind in kinds:
        about = KINDS[kind].about
        try:
            with drawn(kind, sources, Options(), salt=f"{prefix}-{kind}", scale=SCALE) as figure:
                picture = inline_picture(figure, about=about, prefix=f"{prefix}-{kind}-")
        except DlrunError as error:
            found.append(tag("p", isolated(f"No {kind} plot: {error}"), class_="note"))
            continue
        caption = about[:1].upper() + about[1:] + ("" if about.endswith("?") else ".")
        found.append(tag("figure", picture, tag("figcaption", caption)))
    return tag("div", *found, class_="plots") if found else Markup()


def _files(source: Source) -> list[Markup]:
    """Configuration and environment."""
    found = []
    config = source.file("config.toml")
    if source.is_folder and config.is_file():
        text = config.read_text(encoding="utf-8", errors="replace")
        found.append(_folded("Configuration (config.toml)", tag("pre", escaped(text, keep_lines=True), dir="ltr")))
    versions = source.summary.get("versions")
    pairs: list[tuple[str, Any]] = list(versions.items()) if isinstance(versions, dict) else []
    pairs += [("data hash", source.summary.get("data_hash")), ("split hash", source.summary.get("split_hash"))]
    if any(value is not None for _, value in pairs):
        found.append(_folded("Environment", facts([(escaped(key), value) for key, value in pairs])))
    return found


def _folded(heading: str, content: Markup) -> Markup:
    return tag("details", tag("summary", heading), content)
