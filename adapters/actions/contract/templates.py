"""Templates of contracts: it owns their notation, and which fields may stand in which place.

A field stands in braces, `{node.key}`; `{index:06}` pads a number with zeros; `{{` and `}}` are
braces. In a path the value of a field becomes one safe piece of a name: a slash, a control
character or a leading dash becomes `_`, nothing at all becomes `_`, and 120 bytes are kept.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

VALUE_BYTES_MAX = 120
PADDING_MAX = 20

_PIECE = re.compile(r"\{\{|\}\}|\{([a-z_][a-z0-9_.]*)(?::0(\d{1,2}))?\}|[^{}]+|[{}]")

_NODE = ("key", "node_id", "extension", "media_type", "size_bytes", "description")
_METADATA = ("source", "title", "view", "update_time", "download_time", "author", "user")
_FILE = ("path", "name", "stem")


def _group(name: str, fields: Iterable[str]) -> frozenset[str]:
    return frozenset(f"{name}.{field}" for field in fields)


OF_PART = frozenset({"part"})
OF_INPUT = (
    OF_PART
    | {"index"}
    | _group("node", _NODE)
    | _group("metadata", _METADATA)
    | _group("parent", _NODE)
)
"""`parent` is the first parent, tree edges first; without one its fields are empty."""
OF_FILE = OF_INPUT | _group("file", _FILE)
"""`file` is where the input itself lies."""
OF_PARENT_FILE = OF_INPUT | {"number"}
"""`parent` is the relative, `number` its place among those of its input, from 0."""
OF_CHILD_FILE = OF_INPUT | {"number"} | _group("child", _NODE)

PLACE = {
    "action_batch_id": "DRYSTONE_ACTION_BATCH_ID",
    "run_id": "DRYSTONE_RUN_ID",
    "layout_id": "DRYSTONE_LAYOUT_ID",
    "part": "DRYSTONE_PART",
}
"""Fields of a run that every program is told in its environment too."""
OF_RUN = OF_PART | PLACE.keys() | {"input", "output", "contract", "model"}

Value = str | int | float | bool | datetime.datetime | None
Renderer = Callable[[Mapping[str, Value]], str]


class TemplateError(ValueError):
    """A template cannot be read, or names a field that there is not."""


class Field(NamedTuple):
    """A field of a template; `width` > 0 pads with zeros."""

    name: str
    width: int


@functools.lru_cache(maxsize=10_000)
def parse(template: str) -> tuple[str | Field, ...]:
    """Return texts and fields in order. Raises TemplateError."""
    pieces: list[str | Field] = []
    for match in _PIECE.finditer(template):
        piece, name, width = match.group(), match.group(1), match.group(2)
        if name is not None:
            if width is not None and int(width) > PADDING_MAX:
                raise TemplateError(f"{piece} pads with more than {PADDING_MAX} zeros")
            pieces.append(Field(name, int(width or 0)))
        elif piece in ("{", "}"):
            raise TemplateError(
                f"the brace at character {match.start() + 1} belongs to no field; a field looks "
                "like {node.key}, and a brace itself is written twice"
            )
        else:
            pieces.append(piece[0] if piece in ("{{", "}}") else piece)
    return tuple(pieces)


def fields_of(template: str) -> list[str]:
    """Return the names of the fields in a template, in order."""
    return [piece.name for piece in parse(template) if isinstance(piece, Field)]


def render(template: str, fields: Mapping[str, Value], *, path: bool = False) -> str:
    """Return the text; an unknown value is empty. With `path`, values are made safe for names."""
    return renderer(template, path=path)(fields)


@functools.lru_cache(maxsize=10_000)
def renderer(template: str, *, path: bool = False) -> Renderer:
    """Return what `render` does with this template; TemplateError for a field that is not there.

    For those who fill it 50,000 times: what can be known beforehand is.
    """
    pieces = parse(template)
    # Where a file lies is a path already.
    steps = [
        (piece.name, _shown(piece.width, safe=path and not piece.name.startswith("file.")))
        for piece in pieces
        if isinstance(piece, Field)
    ]
    form = "".join(p.replace("%", "%%") if isinstance(p, str) else "%s" for p in pieces)

    def fill(fields: Mapping[str, Value]) -> str:
        try:
            return form % tuple([show(fields[name]) for name, show in steps])
        except KeyError as error:
            raise TemplateError(f"there is no field {{{error.args[0]}}} here") from None

    return fill


def _shown(width: int, *, safe: bool) -> Callable[[Value], str]:
    if width:
        # Padded first: what is too long for a name is cut with its zeros.
        padded: Callable[[Value], str] = lambda value: text_of(value).rjust(width, "0")  # noqa: E731
        return (lambda value: path_value(padded(value))) if safe else padded
    return _path_text if safe else text_of


def _path_text(value: Value) -> str:
    # Nearly all names are made of ids.
    return str(value) if type(value) is int and value >= 0 else path_value(text_of(value))


def value_of(template: str, fields: Mapping[str, Value]) -> Value:
    """Return the value itself of a template that is one field, else the text: for JSON."""
    return valuer(template)(fields)


@functools.lru_cache(maxsize=10_000)
def valuer(template: str) -> Callable[[Mapping[str, Value]], Value]:
    """Return what `value_of` does with this template."""
    pieces = parse(template)
    if len(pieces) != 1 or not isinstance(pieces[0], Field) or pieces[0].width:
        return renderer(template)
    name = pieces[0].name

    def value(fields: Mapping[str, Value]) -> Value:
        found = fields.get(name)
        return found.isoformat() if isinstance(found, datetime.datetime) else found

    return value


def text_of(value: Value) -> str:
    """Return a value as text: nothing for None, ISO 8601 for times, true and false."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


def path_value(text: str) -> str:
    """Return a text as a piece of a file name that can neither lead away nor be misread."""
    if not text.isascii() or not text.isprintable() or "/" in text:
        text = "".join(c if c.isprintable() and c != "/" else "_" for c in text)
    if len(text) * 4 > VALUE_BYTES_MAX and (len(text) > VALUE_BYTES_MAX or not text.isascii()):
        text = text.encode("utf-8", "replace")[:VALUE_BYTES_MAX].decode("utf-8", "ignore")
    if text.startswith("-"):
        text = "_" + text[1:]
    return "_" if text.strip(". ") == "" else text
