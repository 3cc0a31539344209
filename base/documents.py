"""YAML that people write, with the line of everything in it.

It is read without aliases (a few lines of them can stand for gigabytes) and tags, no deeper and no
larger than its limits, and its keys are texts, each there once: of a key that is there twice one
would be ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

SHOWN_LENGTH_MAX = 60

Path = tuple[str | int, ...]
"""Keys and positions that lead to a part of a document."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may be at most."""

    size_bytes_max: int
    levels_max: int
    """Below the 1,000 that libyaml takes."""
    values_max: int
    """Counts the keys too, and the ends of lists and mappings."""


class DocumentError(ValueError):
    """A document cannot be read: the line from 1, the path to the place, and why."""

    def __init__(self, line: int, reason: str, path: Path = (), *, is_syntax: bool = False) -> None:
        self.line = line
        self.path = path
        self.reason = reason
        self.is_syntax = is_syntax
        """Whether it is no YAML at all."""
        super().__init__(f"line {line}: {reason}")


@dataclass(slots=True)
class Placed:
    """A document, and the line, from 1, of every key and item in it."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict[Path, int])

    def written(self, path: Path) -> Path:
        """Return the longest part of a path that is written; empty for the document itself."""
        while path and path not in self.lines:
            path = path[:-1]
        return path

    def line_of(self, path: Path) -> int:
        """Return the line of the nearest place that is written."""
        return self.lines.get(self.written(path), 1)


def decoded(data: bytes | str, limits: Limits) -> str:
    """Return the text of a document. Raises DocumentError when it is too large, or no UTF-8."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > limits.size_bytes_max:
        raise DocumentError(1, f"has more than {limits.size_bytes_max:,} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DocumentError(line, f"byte {error.start} is no UTF-8") from None


def read_document(data: bytes | str, limits: Limits) -> Placed:
    """Read a document; the value of an empty one is None.

    Raises DocumentError for the first thing that makes it unreadable.
    """
    text = decoded(data, limits)
    placed = Placed()
    try:
        _check_events(text, limits)
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            placed.value = _value(loader, node, (), placed.lines) if node else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, limits) from None
    except yaml.YAMLError as error:
        reason = f"is no YAML: {' '.join(str(error).split())[:200]}"
        raise DocumentError(1, reason, is_syntax=True) from None
    return placed


def _check_events(text: str, limits: Limits) -> None:
    """Refuse aliases and depth first: building from them, the C reader would end the process."""
    level = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(line, "aliases (*name) are not taken; write it out")
        if getattr(event, "tag", None) is not None:
            raise DocumentError(line, "tags (!name) are not taken; leave it out")
        level += isinstance(event, yaml.CollectionStartEvent)
        level -= isinstance(event, yaml.CollectionEndEvent)
        if level > limits.levels_max:
            raise _too_deep(line, limits)
        if count > limits.values_max:
            raise DocumentError(line, f"has more than {limits.values_max:,} values")


def _too_deep(line: int, limits: Limits) -> DocumentError:
    return DocumentError(line, f"nested deeper than {limits.levels_max} levels")


def _syntax_error(error: yaml.MarkedYAMLError, limits: Limits) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    problem = error.problem or error.context or "it cannot be read"
    # Newer readers refuse a depth of 1,000 themselves, before the first event of the line is told.
    if "nesting depth" in problem:
        return _too_deep(line, limits)
    return DocumentError(line, f"is no YAML: {' '.join(problem.split())[:300]}", is_syntax=True)


def _value(loader: Any, node: Any, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*path, n), lines) for n, item in enumerate(node.value)]
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        # A date such as 2024-13-45, a number of thousands of digits.
        shown = ascii(str(node.value)[:SHOWN_LENGTH_MAX])
        raise DocumentError(node.start_mark.line + 1, f"{shown} cannot be read", path) from None


def _mapping(loader: Any, node: Any, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        name = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(name, str) or not isinstance(_key(loader, key_node), str):
            raise DocumentError(line, "a key that is no text; put it into quotes", path)
        if name in result:
            shown = ascii(name)[:SHOWN_LENGTH_MAX]
            raise DocumentError(line, f"the key {shown} is there twice", path)
        lines[*path, name] = line
        result[name] = _value(loader, value_node, (*path, name), lines)
    return result


def _key(loader: Any, node: Any) -> Any:
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        return None  # `<<`, or what looks like a date and is none.
