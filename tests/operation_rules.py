"""Every operation of Drystone, for tests and for the document that lists them."""

from __future__ import annotations

import os
import sys
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCUMENT = os.path.join(ROOT, "docs", "api.md")
BEGIN, END = "<!-- operations: made by tests/operation_rules.py -->\n", "<!-- end -->\n"


def all_operations() -> list[Any]:
    from jobs import jobs_operations

    return list(jobs_operations().values())


def table() -> str:
    """Return the table of operations: who may ask for what, and where."""
    from base.operations.commands import command_of

    lines = [
        "| operation | needs | over HTTP | in the shell | what it does |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in sorted(all_operations(), key=lambda one: one.name):
        command = ""
        if one.cli is not None:
            words = command_of(one)
            command = f"`drystone {words}{'' if one.cli.is_shown else ' --dry-run'}`"
        first = one.help.partition("\n")[0]
        lines.append(
            f"| {one.name} | {one.role} | `{one.method} {one.path}` | {command} | {first} |"
        )
    return "\n".join(lines) + "\n"


def written() -> str:
    """Return the document with the table of now."""
    with open(DOCUMENT, encoding="utf-8") as file:
        before, _, rest = file.read().partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    text = written()
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)
