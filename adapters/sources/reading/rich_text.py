"""Posts written as HTML: it owns turning them into the text a reader sees, line breaks included."""

from __future__ import annotations

import re
from html import unescape as html_unescape
from typing import Any

from bs4 import BeautifulSoup, Tag

from adapters.records.values import TEXT_LENGTH_MAX, as_text

HTML_LENGTH_MAX = 200_000
BLOCKS = ["p", "div", "li", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "figure"]

_PLAIN_TAG = re.compile(r"</?(?:a|b|i|u|s|em|strong|span|small|p)(?:\s[^<>]*)?>")
_LINE_END = re.compile(r"<br\s*/?>|</p>")
_OTHER_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|nbsp|#39);)")


def text_of_post(value: Any, length_max: int = TEXT_LENGTH_MAX) -> str | None:
    """Return the text of an HTML fragment; words that inline elements split stay whole."""
    if not isinstance(value, str) or not value.strip():
        return None
    if "<" not in value and "&" not in value:
        return as_text(value, length_max)
    if (plain := _text_of_plain_html(value)) is not None:
        return as_text(plain, length_max)
    try:
        # The element around it keeps the parser from taking an address for a file name.
        return text_of_element(
            BeautifulSoup(f"<div>{value[:HTML_LENGTH_MAX]}</div>", "html.parser"), length_max
        )
    except (RecursionError, ValueError, AssertionError):
        return as_text(value, length_max)


def _text_of_plain_html(html: str) -> str | None:
    """Return the text of what most posts are: links, emphasis, paragraphs and line breaks alone.

    A parser takes fifty times as long; it is asked for everything else.
    """
    if len(html) > HTML_LENGTH_MAX or html.count("<p") != html.count("</p>"):
        return None
    text = _PLAIN_TAG.sub("", _LINE_END.sub("\n", html.replace("\r", "")))
    if "<" in text or ">" in text:
        return None
    if _OTHER_ENTITY.search(text):
        return None
    text = html_unescape(text)
    return "\n".join(filter(None, map(str.strip, text.split("\n"))))


def text_of_element(element: Tag, length_max: int = TEXT_LENGTH_MAX) -> str | None:
    """Return the text of an element that is already parsed; it is changed by this."""
    for gone in element(["script", "style"]):
        gone.decompose()
    for line_break in element("br"):
        line_break.replace_with("\n")
    for block in element(BLOCKS):
        block.append("\n")
    lines = [line.strip() for line in element.get_text().split("\n")]
    return as_text("\n".join(line for line in lines if line), length_max)
