"""Every operation of Drystone, for tests and for the document that lists them."""

from __future__ import annotations

import os
import sys
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCUMENT = os.path.join(ROOT, "docs", "api.md")
CODES_BEGIN = "<!-- codes: made by tests/operation_rules.py -->\n"
BEGIN, END = "<!-- operations: made by tests/operation_rules.py -->\n", "<!-- end -->\n"


def all_operations() -> list[Any]:
    from fsd import store_operations
    from gui.reading.operations import database_operations, people_operations

    return [
        *store_operations().values(),
        *people_operations().values(),
        *database_operations().values(),
    ]


def table() -> str:
    """Return the table of operations: who may ask for what, and where."""
    from base.operations.commands import command_of

    lines = [
        "| operation | needs | over HTTP | in the shell | what it does |",
        "| --- | --- | --- | --- | --- |",
    ]
    dry_runs = {one.cli.dry_run for one in all_operations() if one.cli is not None}
    for one in sorted(all_operations(), key=lambda one: one.name):
        command = ""
        if one.cli is not None:
            words = command_of(one)
            command = f"`drystone {words}{' --dry-run' if one in dry_runs else ''}`"
        route = "" if one.is_private else f"`{one.method} {one.path.replace(':path', '')}`"
        first = one.help.partition("\n")[0]
        lines.append(f"| {one.name} | {one.asked_by} | {route} | {command} | {first} |")
    return "\n".join(lines) + "\n"


OF_THE_PORT = {
    "wrong_request": (422, "The request is wrong; `problems` has a line for each mistake."),
    "not_logged_in": (401, "Nobody is logged in, or the token is worthless."),
    "server_failed": (500, "An error of ours; the log tells more."),
    "request_late": (408, "The head or the body of the request did not come in time."),
    "body_too_large": (413, "The body of the request is too large."),
    "head_too_large": (431, "The head of the request is too large."),
    "too_many_requests": (429, "Somebody asks too often; see Retry-After."),
    "pages_away": (503, "The pages are not up; the API is."),
}
"""Codes that are no error's: the port answers them before an operation is asked."""


ERRORS = (
    "base.errors",
    "base.journal.journal",
    "fsd.format.errors",
    "sql.core.errors",
    "adapters.records.errors",
    "datasets.definition.errors",
    "jobs.core.errors",
    "gui.core.errors",
)


def codes() -> str:
    """Return the table of codes: of every error of ours, and of the port."""
    import inspect
    from importlib import import_module

    from base.errors import DrystoneError
    from base.operations.problem import code_of, status_of

    rooms = map(import_module, ERRORS)
    rows: dict[str, tuple[int, str]] = dict(OF_THE_PORT)
    for kind in (one for room in rooms for one in vars(room).values()):
        if isinstance(kind, type) and issubclass(kind, DrystoneError):
            first = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
            rows.setdefault(code_of(kind.__name__), (status_of(kind.__new__(kind)), first))
    lines = ["| code | status | when |", "| --- | --- | --- |"]
    lines += [f"| `{code}` | {rows[code][0]} | {rows[code][1]} |" for code in sorted(rows)]
    return "\n".join(lines) + "\n"


def written() -> str:
    """Return the document with the tables of now."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    for begin, made in ((CODES_BEGIN, codes()), (BEGIN, table())):
        before, _, rest = text.partition(begin)
        text = before + begin + made + END + rest.partition(END)[2]
    return text


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    text = written()
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)
