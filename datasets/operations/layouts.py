"""The operation that lists layouts, which ship: it needs no store."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from base.model import Document
from base.operations.operation import Caller, Cli, NoRequest, operation
from base.output import write_table


@contextmanager
def opened(_config: str | None) -> Generator[None]:
    """Yield nothing: what ships is there without a store."""
    yield


class Layout(Document):
    """A layout of dataset folders, and what it is."""

    id: str
    summary: str


def _show(found: list[Layout], _asked: NoRequest) -> None:
    write_table(("layout", "what it is"), [(one.id, one.summary) for one in found])


@operation(
    "dataset.layouts",
    role="viewer",
    kind="question",
    route="GET /dataset-layouts",
    cli=Cli(show=_show),
)
def layouts(_place: object, _caller: Caller, _asked: NoRequest) -> list[Layout]:
    """List the layouts."""
    from datasets.choice.registry import layout_named, layout_names

    found = map(layout_named, layout_names())
    return [Layout(id=one.layout_id, summary=one.summary) for one in found]
