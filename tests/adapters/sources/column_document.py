"""The tables of columns in docs/adapters.md, made from the declarations of the platforms.

`python -m tests.adapters.sources.column_document` writes them; a test holds that they are so.
"""

from __future__ import annotations

import os
from importlib import import_module
from pkgutil import walk_packages

import adapters.sources
from adapters.sources.columns import Source

PATH = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "adapters.md")
HEAD = "## What is read into which column\n"
INTRODUCTION = """
Made from the declarations in `adapters/sources`; the notation of the paths is that of
`adapters/sources/paths.py`. A column that several kinds of nodes have is found at the same place
where only one is said.
"""


def sources() -> list[Source]:
    """Return the declared sources of all adapters, by name."""
    found: dict[str, Source] = {}
    for module in walk_packages(adapters.sources.__path__, "adapters.sources."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, Source):
                found[value.table.name] = value
    return [found[name] for name in sorted(found)]


def tables() -> str:
    """Return the section of the document."""
    lines = [HEAD, INTRODUCTION.strip(), ""]
    for source in sources():
        lines += [f"### meta_{source.table.name}", "", f"{source.table.comment}.", ""]
        lines += ["| column | type | of | found at | is |", "| --- | --- | --- | --- | --- |"]
        for column in source.table.columns:
            places = {
                kind: path.text
                for kind, columns in source.sections.items()
                for name, _, path in columns
                if name == column.name
            }
            paths = dict.fromkeys(f"`{text}`" for text in places.values())
            shown = " or ".join(paths).replace("|", "\\|")
            line = (column.name, column.type, ", ".join(places), shown, column.comment)
            lines.append("| " + " | ".join(line) + " |")
        lines.append("")
    return "\n".join(lines)


def document() -> tuple[str, str]:
    """Return the document as it is, and as it should be: the section comes last."""
    with open(PATH, encoding="utf-8") as file:
        text = file.read()
    return text, text.partition(HEAD)[0].rstrip() + "\n\n" + tables().rstrip() + "\n"


if __name__ == "__main__":
    wanted = document()[1]
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(wanted)
