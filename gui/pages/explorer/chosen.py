"""The bar of acts on chosen nodes: each is an operation on a selector, or a page that takes one."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from nicegui import ui

from gui.core import filters as filtering
from gui.core.filters import Document, Filters
from gui.pages.explorer import leaving
from gui.pages.explorer.grid import ThumbnailGrid
from gui.pages.explorer.purge import purge_chosen
from gui.pages.labelling.question import ask_people
from gui.pages.pipelines.new import ask_for_batch
from gui.reading.desk import Desk
from gui.widgets.acts import ask, confirm, dialog, operate, tell
from gui.widgets.blocks import attributes, box, button, many, size, text, written
from gui.widgets.forms import FormView
from gui.widgets.frame import visitor
from gui.widgets.live import take_out_of_sight

NAMES_SHOWN = 12
ADDRESS_LENGTH_MAX = filtering.ADDRESS_LENGTH_MAX
_TOO_LONG = (
    "So many nodes are too long for an address: add them to a collection, look at that, "
    "press Ctrl-A and All that match."
)
_HIDING = {
    "delete": ("Delete", "is_deleted", "undelete", "Undelete"),
    "blacklist": ("Black-list", "is_blacklisted", "unblacklist", "Off the black list"),
}
_LINES = {
    "delete": "Selectors find them no more. Their bytes stay, and Undelete brings them back.",
    "undelete": "Selectors find them again.",
    "blacklist": "They are never used; selectors leave them out.",
    "unblacklist": "Selectors find them again.",
}


class Chosen(NamedTuple):
    """What is chosen in the grid: some of its nodes, or all that match the filters."""

    ids: tuple[int, ...] = ()
    is_all: bool = False

    def document(self, filters: Filters) -> Document:
        """Return the selector of what is chosen."""
        if self.is_all:
            return filters.document
        shown = {
            name: value for name, value in filters.document.items() if name.startswith("include_")
        }
        return {"version": 1, "where": {"node_id": list(self.ids)}, **shown}


class ChosenBar:
    """The bar of one open explorer; it is there while something is chosen."""

    def __init__(
        self, desk: Desk, filters: Callable[[], Filters], changed: Callable[[], None]
    ) -> None:
        self._desk, self._filters, self._changed = desk, filters, changed
        self._chosen = Chosen()
        self._total = ""
        self.grid: ThumbnailGrid | None = None
        """What shows the nodes; it is made after the bar's functions are known."""
        self._bar = box()
        self._status: Any = None
        self._all: Any = None
        self._built: object = None

    def choose(self, args: Any) -> None:
        """Take what the browser says is chosen."""
        told: dict[str, Any] = args if isinstance(args, dict) else {}
        ids = told.get("ids")
        numbers = [one for one in ids if isinstance(one, int)] if isinstance(ids, list) else []
        self._chosen = Chosen(tuple(numbers), bool(told.get("all")))
        self.show()

    def count(self, total: str) -> None:
        """Take how many nodes match the filters."""
        self._total = total
        if self._chosen != Chosen():
            self.show()

    def show(self) -> None:
        """Show how many are chosen, and what can be done with them.

        The buttons stay while they do the same, whatever stands beside them (a count that comes
        late, other filters): one of them may be on its way to be pressed.
        """
        if self._chosen == Chosen():
            self._built = self._all = None
            self._bar.clear()
            self._bar.classes(replace="")
            return
        wanted = (self._chosen.is_all, self._seen_flags)
        if wanted != self._built:
            self._built = wanted
            self._build()
        self._status.text = self._words
        if self._all is not None:
            self._all.text = f"All {self._total} that match".replace("  ", " ")

    def _build(self) -> None:
        take_out_of_sight(self._bar)
        self._all = None
        self._bar.classes(replace="chosen-bar")
        attributes(self._bar, role="region", aria_label="Chosen nodes")
        with self._bar:
            self._status = text("", "strong")
            attributes(self._status, role="status")
            grid = self.grid
            if grid is not None and not self._chosen.is_all:
                self._all = button("", grid.choose_all, "small")
            if visitor().may("operator"):
                self._acts()
            button("Download as zip", functools.partial(self._go, "/explorer/zip", "s"), "small",
                   hint="Their files, called as they were")  # fmt: skip
            button("Copy as selector", self._copy, "small")
            button("List", functools.partial(self._go, "/explorer/list", "s"), "small",
                   hint="Node, key, size and type of each, as CSV")  # fmt: skip
            if grid is not None:
                button("Nothing", grid.choose_nothing, "small quiet", hint="Escape")

    @property
    def _words(self) -> str:
        if self._chosen.is_all:
            return f"All {self._total} that match".replace("  ", " ")
        return f"{len(self._chosen.ids):,} chosen"

    def _acts(self) -> None:
        small = functools.partial(button, classes="small")
        small("Tag", functools.partial(self._group, "node.tag", "Tag", "node.tags"))
        small("Take a tag off", functools.partial(self._group, "node.untag", "Untag", "node.tags"))
        small(
            "Add to a collection",
            functools.partial(self._group, "collection.add", "Add", "collection.list"),
        )
        small(
            "Take out of one",
            functools.partial(self._group, "collection.remove", "Take out", "collection.list"),
        )
        small("Run an action, or label",
              functools.partial(self._go, "/scheduler/start/ua_2", "selector"))  # fmt: skip
        small("Make a batch", functools.partial(self._lead, ask_for_batch))
        small("Ask people", functools.partial(self._lead, ask_people))
        small("Make a dataset", functools.partial(self._go, "/datasets/new", "selector"))
        small("Make a folder", functools.partial(self._lead, leaving.make_folder))
        small("Share", functools.partial(self._share, leaving.share))
        small("Share by a link", functools.partial(self._share, leaving.share_by_link))
        for verb, (label, flag, undo, undo_label) in _HIDING.items():
            if flag in self._seen_flags:
                small(undo_label, functools.partial(self._hide, undo, undo_label))
            else:
                button(label, functools.partial(self._hide, verb, label), "small danger")
        if visitor().may("admin"):
            button(
                "Purge",
                self._purge,
                "small danger",
                hint="Delete them for good, or their ingest batch",
            )

    # ---- Acts ------------------------------------------------------------------------------------

    @property
    def _seen_flags(self) -> frozenset[str]:
        """By which of the flags that hide a node the filters ask for hidden ones."""
        where = self._filters().document.get("where") or {}
        return frozenset(flag for _, flag, _, _ in _HIDING.values() if where.get(flag))

    @property
    def _selector(self) -> Document:
        return self._chosen.document(self._filters())

    def _done(self) -> None:
        if self.grid is not None:
            self.grid.show_anew()
        self._changed()

    async def _group(self, name: str, label: str, listing: str) -> None:
        """Ask for a tag or a collection, and give or take it; a new collection is made."""
        values = {"selector": self._selector}
        known = await operate(self._desk, listing, {})
        if known is None:
            return
        names = [one.name for one in known] if isinstance(known, list) else []

        def beside(form: FormView) -> Callable[[], None]:
            with box("chips"):
                for one in names[:NAMES_SHOWN]:
                    button(one, functools.partial(form.fill, "name", one), "small quiet")
            return lambda: None

        one = self._desk.operation(name)
        told = await ask(f"{label}: {self._words}", one.request, label, given=values,
                         fields=("name",), beside=beside)  # fmt: skip
        if told is None:
            return
        wanted = told.model_dump(exclude_unset=True)
        if name == "collection.add":
            made = await operate(self._desk, "collection.create", {"name": wanted["name"]})
            if made is None:
                return
        if await operate(self._desk, name, wanted, lambda answer: answer.told) is not None:
            self._done()

    async def _hide(self, verb: str, label: str) -> None:
        """Tell how many nodes it would be for, ask, and do it."""
        values = {"selector": self._selector, "all_nodes": self._chosen.is_all}
        plan = await operate(self._desk, f"node.{verb}_plan", values)
        if plan is None:
            return
        if not plan.nodes:
            tell("None of these is a file for which that would change anything.")
            return
        title = f"{label}: {many(plan.nodes, 'file')}, {size(plan.size_bytes)}?"
        if not await confirm(title, [_LINES[verb]], label):
            return

        def done(answer: Any) -> str:
            return f"{label}: {many(answer.changed, 'file')}"

        if await operate(self._desk, f"node.{verb}", values, done) is not None:
            self._done()

    async def _purge(self) -> None:
        async def hide(verb: str) -> None:
            await self._hide(verb, _HIDING[verb][0])

        await purge_chosen(self._desk, self._selector, hide, self._done)

    async def _lead(self, act: Callable[[Desk, Document, str], Awaitable[None]]) -> None:
        await act(self._desk, self._selector, self._words)

    async def _share(self, act: Callable[[Desk, Document, str, str], Awaitable[None]]) -> None:
        name = f"Shared {datetime.now():%Y-%m-%d %H.%M.%S}"
        await act(self._desk, self._selector, self._words, name)

    # ---- Where else it is used -------------------------------------------------------------------

    async def _copy(self) -> None:
        words = filtering.yaml_of(self._selector)

        def build() -> None:
            text("For files, the command line, actions and datasets.", tag="p")
            written(words, "Selector")
            attributes(text("Copy", "button", "button"), type="button", data_copy=words)

        await dialog("These nodes as a selector", build, (("Close", True, ""),), "wide")

    def _go(self, path: str, name: str) -> None:
        document = json.dumps(self._selector, separators=(",", ":"), ensure_ascii=False)
        address = f"{path}?{urlencode({name: document})}"
        if len(address) > ADDRESS_LENGTH_MAX:
            tell(_TOO_LONG, bad=True)
            return
        ui.navigate.to(address)
