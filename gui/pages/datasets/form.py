"""The form of a dataset: which choices it has, what they are in a definition, and what they write.

Pure but for `offered`. A definition may say more than the form shows; what it does not show stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple, cast

import yaml

from base.documents import DocumentError, read_document
from base.errors import DrystoneError
from gui.core.filters import document_of
from gui.reading.desk import Desk
from gui.reading.views import saved_selectors
from gui.widgets.forms import DOCUMENT_LIMITS, Field

Document = dict[str, Any]

AS_WRITTEN = "as written"
SPLITS = ("train", "val", "test")
_METADATA = {
    "source": "where it comes from",
    "author": "its author",
    "user": "who collected it",
}
_UNLABELLED = (("drop", "leave it out"), ("keep", "keep it without"), ("error", "refuse to build"))
_MISSING = (("allow", "that is all right"), ("error", "refuse to build"))
_MODES = (("view", "a view in the mount: no room, at once"), ("copy", "a copy on the SSD"))


class Offer(NamedTuple):
    """What can be chosen: places of labels, saved views with their selectors, and layouts."""

    labels: tuple[tuple[str, str], ...]
    views: tuple[tuple[str, Document], ...]
    layouts: tuple[str, ...]


def offered(desk: Desk, user_id: int) -> Offer:
    """Return what can be chosen in this store by a person; blocks."""
    from datasets import layout_names

    database = desk.database()
    labels = [(f"metadata:{name}", words) for name, words in _METADATA.items()]
    for place, column in database.explore.label_columns():
        kind, _, name = place.partition("_")
        where = "result" if kind == "result" else "source_metadata"
        labels.append((f"{where}:{name}:{column}", f"{column} of {name}"))
    return Offer(tuple(labels), saved_selectors(desk, user_id), tuple(layout_names()))


def fields_of_form(offer: Offer) -> tuple[Field, ...]:
    """Return the fields, in the order in which a dataset is thought of."""
    views = tuple((name, f"the view {name}") for name, _ in offer.views)
    of_labels = (("none", "no labels"), *offer.labels, (AS_WRITTEN, "as the definition says"))
    return (
        Field("name", "text", "Name", None, True, length_max=63),
        Field("view", "choice", "Which files", None, False,
              ((AS_WRITTEN, "what the selector in the definition finds"), *views)),
        Field("labels", "choice", "The class of a file is", None, False, of_labels),
        Field("unlabelled", "choice", "A file without a class", None, False, _UNLABELLED),
        *(Field(name, "number", f"{name}, in percent", minimum=0, maximum=100)
          for name in SPLITS),
        Field("seed", "integer", "Seed of the splits", None, False, minimum=0),
        Field("missing_class", "choice", "A class that is missing in a split", None, False,
              _MISSING),
        Field("layout", "choice", "Laid out as", None, False,
              tuple((name, name) for name in offer.layouts)),
        Field("mode", "choice", "Exported as", None, False, _MODES),
    )  # fmt: skip


def read_text(text: str) -> Document | None:
    """Return a definition as it is written; None for what is no mapping."""
    try:
        found = read_document(text, DOCUMENT_LIMITS).value
    except DocumentError:
        return None
    return cast(Document, found) if isinstance(found, dict) else None


def text_of(document: Document) -> str:
    """Return a definition as YAML."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=88)


def values_of_form(document: Document, offer: Offer) -> dict[str, Any]:
    """Return what the form shows of a definition."""
    splits, labels = _block(document, "splits"), document.get("labels")
    fractions, layout = _block(splits, "fractions"), document.get("layout")
    if isinstance(layout, dict):
        layout = cast(Document, layout).get("id")
    is_ours = set(fractions) <= set(SPLITS)
    shares = {name: _percent(fractions.get(name)) if is_ours else None for name in SPLITS}
    return {
        "name": document.get("name"),
        "view": _view_of(document.get("selector"), offer),
        "labels": "none" if labels is None else _place_of(_block(document, "labels"), offer),
        "unlabelled": _block(document, "labels").get("unlabelled", "error"),
        **shares,
        "seed": splits.get("seed", 0),
        "missing_class": splits.get("missing_class", "error"),
        "layout": layout if layout in offer.layouts else None,
        "mode": document.get("mode", "copy"),
    }


def written(document: Document, values: Mapping[str, Any], offer: Offer) -> Document:
    """Return a definition that says what was chosen; where it says so already it stays the same."""
    new = deepcopy(document)
    shown = values_of_form(document, offer)
    changed = {name: value for name, value in values.items() if value != shown.get(name)}
    for name in ("name", "mode", "layout"):
        if changed.get(name):
            new[name] = changed[name]
    views = dict(offer.views)
    if changed.get("view") in views:
        new["selector"] = deepcopy(views[changed["view"]])
    if changed.get("labels") == "none":
        new.pop("labels", None)
    elif changed.get("labels") not in (None, AS_WRITTEN):
        new["labels"] = {**_block(new, "labels"), "from": _source_of(changed["labels"])}
    if changed.get("unlabelled") and new.get("labels") is not None:
        new["labels"] = {**_block(new, "labels"), "unlabelled": changed["unlabelled"]}
    if any(name in changed for name in SPLITS):
        shares = {name: values.get(name) for name in SPLITS}
        fractions = {name: round(share / 100, 4) for name, share in shares.items() if share}
        new["splits"] = {**_block(new, "splits"), "fractions": fractions or {"all": 1.0}}
    for name in ("seed", "missing_class"):
        if changed.get(name) is not None:
            new["splits"] = {**_block(new, "splits"), name: changed[name]}
    return new


def split_rows(document: Document, files: int) -> list[tuple[str, str, int]]:
    """Return name, share and about how many files each split of a definition would have."""
    fractions = _block(_block(document, "splits"), "fractions") or {"all": 1.0}
    return [
        (str(name), f"{share * 100:g} %", round(files * share))
        for name, share in fractions.items()
        if isinstance(share, int | float) and 0 <= share <= 1
    ]


def _block(document: Document, name: str) -> Document:
    found = document.get(name)
    return cast(Document, found) if isinstance(found, dict) else {}


def _percent(share: Any) -> float | None:
    return round(share * 100, 2) if isinstance(share, int | float) else None


def _view_of(selector: Any, offer: Offer) -> str:
    try:
        plain = document_of(text_of(selector))
    except DrystoneError:
        return AS_WRITTEN
    return next((name for name, document in offer.views if document == plain), AS_WRITTEN)


def _place_of(labels: Document, offer: Offer) -> str:
    known = {place: _source_of(place) for place, _ in offer.labels}
    source = labels.get("from")
    return next((place for place, told in known.items() if told == source), AS_WRITTEN)


def _source_of(place: str) -> Document:
    """Return where values come from in the words of definitions."""
    kind, name, *column = place.split(":")
    if kind == "metadata":
        return {"metadata": {"field": name}}
    owner = "action" if kind == "result" else "source"
    return {kind: {owner: name, "column": column[0]}}
