"""Posts written as HTML: it owns turning them into the text a reader sees, line breaks included."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup, Tag

from adapters.records.values import as_text

HTML_LENGTH_MAX = 200_000
BLOCKS = ["p", "div", "li", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "figure"]


def text_of_post(value: Any) -> str | None:
    """Return the text of an HTML fragment; words that inline elements split stay whole."""
    if not isinstance(value, str) or not value.strip():
        return None
    if "<" not in value and "&" not in value:
        return as_text(value)
    try:
        # The element around it keeps the parser from taking an address for a file name.
        return text_of_element(
            BeautifulSoup(f"<div>{value[:HTML_LENGTH_MAX]}</div>", "html.parser")
        )
    except (RecursionError, ValueError, AssertionError):
        return as_text(value)


def text_of_element(element: Tag) -> str | None:
    """Return the text of an element that is already parsed; it is changed by this."""
    for gone in element(["script", "style"]):
        gone.decompose()
    for line_break in element("br"):
        line_break.replace_with("\n")
    for block in element(BLOCKS):
        block.append("\n")
    lines = [line.strip() for line in element.get_text().split("\n")]
    return as_text("\n".join(line for line in lines if line))
