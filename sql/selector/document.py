"""Reading a selector that somebody wrote: it owns YAML, JSON, and what is said about mistakes.

Every mistake is told with its path, and an unknown key with what may have been meant. YAML is read
without aliases and tags (a few lines of aliases can stand for gigabytes), and a key that is there
twice is refused in both formats, because one of the two would be ignored.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any, cast, get_args

import yaml
from pydantic import ValidationError

from sql.core.errors import SelectorError
from sql.selector.selector import Selector
from sql.selector.values import Part

DOCUMENT_SIZE_BYTES_MAX = 16 * 1024 * 1024
LEVELS_MAX = 100
SHOWN_LENGTH_MAX = 60
PROBLEMS_MAX = 200
"""So many are told, and how many there are beside them."""

# Keys that people write one level too high, and where they belong.
_HOMES = {
    "source": "metadata", "title": "metadata", "view": "metadata", "author": "metadata",
    "update_time": "metadata", "download_time": "metadata", "user": "metadata",
    "is_raw": "metadata", "is_root": "metadata",
}  # fmt: skip


def parse_selector(text: str | bytes) -> Selector:
    """Read a selector from YAML or JSON text. Raises SelectorError with a list of problems."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > DOCUMENT_SIZE_BYTES_MAX:
        raise SelectorError([f"a selector may have {DOCUMENT_SIZE_BYTES_MAX >> 20} MiB"])
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SelectorError([f"byte {error.start} is no UTF-8"]) from None
    try:
        return read_selector(_parsed(decoded))
    except RecursionError:
        raise SelectorError([f"nested deeper than {LEVELS_MAX} levels"]) from None


def read_selector(document: Any) -> Selector:
    """Check a decoded document. Raises SelectorError with a list of problems."""
    if isinstance(document, Selector):
        return document
    if not isinstance(document, dict):
        raise SelectorError(["a selector is a mapping that begins with `version: 1`"])
    if not _is_shallow(document):
        raise SelectorError([f"nested deeper than {LEVELS_MAX} levels"])
    try:
        return Selector.model_validate(document)
    except ValidationError as error:
        raise SelectorError(problems_of(error)) from None


def problems_of(error: ValidationError) -> list[str]:
    """Return one `path: reason` for each mistake."""
    return problem_lines(error.errors(include_url=False))


def problem_lines(
    mistakes: Sequence[Any],
    prefix: tuple[str | int, ...] = (),
    model: type[Part] | None = Selector,
) -> list[str]:
    """Return one `path: reason` for each of pydantic's mistakes in a document of that model.

    The paths are without the prefix that all of them share. Of very many only the first are told.
    """
    # A list whose values are all wrong is reported as too short as well.
    short = {mistake["loc"] for mistake in mistakes if mistake["type"] == "too_short"}
    inside = {
        mistake["loc"][:length]
        for mistake in mistakes
        for length in range(len(mistake["loc"]))
        if mistake["loc"][:length] in short
    }
    told = [
        mistake
        for mistake in mistakes
        if mistake["type"] != "too_short" or mistake["loc"] not in inside
    ]
    lines: list[str] = []
    for mistake in told[:PROBLEMS_MAX]:
        loc = tuple(mistake["loc"])
        loc = loc[len(prefix) :] if loc[: len(prefix)] == prefix else loc
        lines.append(f"{_path(loc)}: {_reason(mistake, loc, model)}")
    return capped(lines, len(told))


def capped(problems: Sequence[str], count: int | None = None) -> list[str]:
    """Return the first problems, and a line that says how many there are when it is not all."""
    count = len(problems) if count is None else count
    if count <= PROBLEMS_MAX:
        return list(problems)
    return [*problems[:PROBLEMS_MAX], f"... and {count - PROBLEMS_MAX:,} more"]


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return what may have been meant by a word nobody knows, as the end of a sentence."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word[:100], names, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(names[:20])}{' ...' if len(names) > 20 else ''}" if names else ""


def _reason(mistake: Any, loc: tuple[str | int, ...], model: type[Part] | None) -> str:
    kind, message = mistake["type"], str(mistake["msg"])
    if kind == "extra_forbidden":
        return _unknown_key(str(loc[-1]), _model_at(loc[:-1], model))
    if kind == "missing":
        return "is missing" + (": write version: 1" if loc == ("version",) else "")
    if kind == "timezone_aware":
        return "has no time zone; add Z or an offset such as +01:00"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "too_short":
        return "is empty; write a value or leave it out"
    message = message[:1].lower() + message[1:]
    shown = ascii(mistake["input"])
    if isinstance(mistake["input"], str | int | float):
        message += f" (found {shown[:SHOWN_LENGTH_MAX]}{'...' * (len(shown) > SHOWN_LENGTH_MAX)})"
    return message


def _unknown_key(word: str, model: type[Part] | None) -> str:
    fields = _fields(model) if model else {}
    if word not in fields and _HOMES.get(word) in fields:
        home = _HOMES[word]
        return f"unknown here; it belongs into {home}: write `{home}: {{{word}: ...}}`"
    return "unknown" + suggestion(word, fields)


def _model_at(loc: Sequence[str | int], model: type[Part] | None) -> type[Part] | None:
    """Return the model that a path of keys and positions leads to."""
    for step in loc:
        fields = _fields(model) if model else {}
        if isinstance(step, str) and step in fields:
            model = fields[step]
    return model


def _fields(model: type[Part]) -> dict[str, type[Part] | None]:
    """Map the keys of a model, as they are written, to the model of what is below them."""
    return {
        field.alias or name: _model_in(field.annotation)
        for name, field in model.model_fields.items()
    }


def _model_in(annotation: Any) -> type[Part] | None:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _path(loc: Iterable[str | int]) -> str:
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{ascii(step)[1:-1]}"
    return text.removeprefix(".")[:500] or "selector"


def _is_shallow(document: Any) -> bool:
    waiting: list[tuple[Any, int]] = [(document, 1)]
    while waiting:
        value, level = waiting.pop()
        if level > LEVELS_MAX:
            return False
        if isinstance(value, dict):
            waiting += [(part, level + 1) for part in cast(dict[Any, Any], value).values()]
        elif isinstance(value, list):
            waiting += [(part, level + 1) for part in cast(list[Any], value)]
    return True


def _parsed(text: str) -> Any:
    try:
        if text.lstrip().startswith("{"):
            try:
                return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
            except json.JSONDecodeError:
                # YAML has mappings in braces too.
                pass
        _check_events(text)
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise SelectorError([f"is neither YAML nor JSON: {' '.join(str(error).split())}"]) from None
    except SelectorError:
        raise
    except ValueError as error:
        # A date such as 2024-13-45, or a number of thousands of digits.
        raise SelectorError([f"a value cannot be read: {error}"]) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise SelectorError([f"the key {ascii(name)[:SHOWN_LENGTH_MAX]} is there twice"])
            seen.add(name)
    return result


def _no_constant(name: str) -> Any:
    raise SelectorError([f"{name} is no number"])


class _Loader(yaml.CSafeLoader):
    """Plain YAML whose keys are texts, each once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys are different texts."""
        pairs = [(self.construct_object(key, True), value) for key, value in node.value]
        for name, _ in pairs:
            if not isinstance(name, str):
                raise SelectorError([f"the key {ascii(name)[:SHOWN_LENGTH_MAX]} is no text"])
        _unique(pairs)
        return super().construct_mapping(node, deep)


def _check_events(text: str) -> None:
    """Refuse aliases and depth first: building from them, the C reader would end the process."""
    level = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise SelectorError(["aliases (*name) are not taken; write it out"])
        level += isinstance(event, yaml.CollectionStartEvent)
        level -= isinstance(event, yaml.CollectionEndEvent)
        if level > LEVELS_MAX:
            raise SelectorError([f"nested deeper than {LEVELS_MAX} levels"])
