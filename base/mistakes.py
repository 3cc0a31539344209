"""Words for mistakes in documents: paths, values, and what may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

KNOWN_SHOWN_MAX = 30
SHOWN_LENGTH_MAX = 60


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return what may have been meant by a word nobody knows, as the end of a sentence."""
    names = sorted(set(known))
    if near := nearest(word, names):
        return f"; did you mean {near}?"
    more = " ..." if len(names) > KNOWN_SHOWN_MAX else ""
    return f"; known: {', '.join(names[:KNOWN_SHOWN_MAX])}{more}" if names else ""


def nearest(word: str, names: Sequence[str]) -> str:
    """Return the name that is most like a word, empty when none is."""
    return next(iter(difflib.get_close_matches(word[:100], names, 1)), "")


def path_text(path: Iterable[str | int], whole: str) -> str:
    """Return a path as people write it, `outputs[0].regex`; `whole` is what an empty one is."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{ascii(step)[1:-1]}"
    return text.removeprefix(".")[:500] or whole


def shown_value(value: Any) -> str:
    """Return the beginning of a value, printable."""
    text = ascii(value)
    return text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "..."


def fields_of(model: type[BaseModel] | None) -> Mapping[str, type[BaseModel] | None]:
    """Map the keys of a model, as they are written, to the model of what is below them."""
    fields = model.model_fields if model is not None else {}
    return {info.alias or name: _model_in(info.annotation) for name, info in fields.items()}


def model_at(path: Iterable[str | int], model: type[BaseModel] | None) -> type[BaseModel] | None:
    """Return the model that a path of keys and positions leads to."""
    for step in path:
        fields = fields_of(model)
        if isinstance(step, str) and step in fields:
            model = fields[step]
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
