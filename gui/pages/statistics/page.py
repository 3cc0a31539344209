"""Statistics: it owns the page that shows how much came in, by day, source, type and account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from gui.pages.statistics.reading import Bar, StatisticsReading, read_statistics
from gui.widgets.blocks import (
    attributes,
    box,
    button,
    card,
    clean,
    empty,
    fill_bar,
    link,
    size,
    text,
)
from gui.widgets.frame import Page
from gui.widgets.tables import Col, table
from gui.widgets.view import View

PATH = "/statistics"
FILTERS = {"source": "Source", "type": "Type", "user": "User"}
SPANS = {"A month": 30, "A quarter": 91, "A year": 365, "Ten years": 3_650}
SLOWNESS = 20.0


def build(
    view: View, since: str = "", until: str = "", source: str = "", type: str = "", user: str = ""
) -> None:
    """Build the page."""
    given = {"since": since, "until": until, "source": source, "type": type, "user": user}
    chosen = {name: value for name, value in given.items() if value}
    _show_choice(chosen)
    view.live(lambda found: _show(found, chosen), lambda found: found)


PAGE = Page(
    "Statistics", PATH, "viewer", "Data", read=read_statistics, build=build, key="y", place=5,
    slowness=SLOWNESS, lead="What came in, by day, source, type and who brought it.",
)  # fmt: skip


def _address(chosen: dict[str, str]) -> str:
    return f"{PATH}?{urlencode(chosen)}" if chosen else PATH


def _show_choice(chosen: dict[str, str]) -> None:
    with box("toolbar"):
        fields: dict[str, Any] = {}
        for name, label in (("since", "From"), ("until", "To")):
            field = ui.input(label, value=chosen.get(name, ""))
            fields[name] = field.props("outlined dense type=date stack-label")

        def show() -> None:
            days = {name: str(field.value or "") for name, field in fields.items()}
            ui.navigate.to(_address({name: day for name, day in {**chosen, **days}.items() if day}))

        button("Show", show, "primary")
        others = {name: value for name, value in chosen.items() if name in FILTERS}
        for label, days in SPANS.items():
            since = datetime.now(UTC).date() - timedelta(days=days - 1)
            link(label, _address({**others, "since": f"{since}"}), "button small")
        for name, label in FILTERS.items():
            if name in chosen:
                rest = {key: value for key, value in chosen.items() if key != name}
                link(f"{label}: {clean(chosen[name])} ×", _address(rest), "button small")


def _show(found: StatisticsReading, chosen: dict[str, str]) -> None:
    if found.problem:
        empty("These days cannot be shown.", clean(found.problem))
        return
    told = found.told
    total = told.total
    if not total.nodes:
        empty(
            "Nothing came in.",
            f"Of {told.since} to {told.until} there is nothing; choose other days.",
        )
        return
    counts = f"{total.nodes:,} nodes, {total.files:,} files, {size(total.size_bytes)}"
    with box("stack wide"):
        with card(f"{told.since} to {told.until}", counts):
            _chart(found.bars)
        for name, parts in (("source", told.sources), ("type", told.types), ("user", told.users)):
            with card(f"By {name}"):
                _parts(name, parts, chosen)


def _chart(bars: Sequence[Bar]) -> None:
    """Show a column for each day, or some; whoever does not see it has the table below."""
    most = max(bar.size_bytes for bar in bars) or 1
    most_nodes = max(bar.nodes for bar in bars) or 1
    is_bytes = any(bar.size_bytes for bar in bars)
    with attributes(box("chart"), aria_hidden="true"):
        for bar in bars:
            share = bar.size_bytes / most if is_bytes else bar.nodes / most_nodes
            drawn = box("chart-bar").style(f"height: {max(share, 0.01 if bar.nodes else 0):.1%}")
            attributes(drawn, title=f"{_when(bar)}: {_words(bar)}")
    text(f"{'Bytes' if is_bytes else 'Nodes'} by day, in UTC; the highest is "
         f"{size(most) if is_bytes else f'{most_nodes:,}'}.", "hint")  # fmt: skip
    cols = (
        Col("Day", _when), Col(">Nodes", "nodes"), Col(">Files", "files"),
        Col(">Size", "size_bytes", size),
    )  # fmt: skip
    with box(tag="details"):
        text("As a table", "", "summary")
        table([bar for bar in reversed(bars) if bar.nodes], cols, "What came in by day")


def _when(bar: Bar) -> str:
    return f"{bar.first}" if bar.first == bar.last else f"{bar.first} to {bar.last}"


def _words(bar: Bar) -> str:
    return f"{bar.nodes:,} nodes, {bar.files:,} files, {size(bar.size_bytes)}"


def _parts(name: str, parts: Sequence[Any], chosen: dict[str, str]) -> None:
    most = max((one.size_bytes for one in parts), default=0) or 1

    def named(one: Any) -> object:
        if name in chosen or one.name == "others":
            return clean(one.name)
        return link(clean(one.name), _address({**chosen, name: one.name}))

    cols = (
        Col(FILTERS[name], named),
        Col("Share", lambda one: fill_bar(one.size_bytes / most, f"size of {clean(one.name)}")),
        Col(">Nodes", "nodes"), Col(">Files", "files"), Col(">Size", "size_bytes", size),
    )  # fmt: skip
    table(parts, cols, f"What came in by {name}")
