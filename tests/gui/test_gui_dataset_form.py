"""The form of a dataset writes its definition, and reads it back."""

from __future__ import annotations

import pytest

from datasets import read_definition
from gui.pages.datasets.form import (
    AS_WRITTEN,
    Offer,
    fields_of_form,
    read_text,
    split_rows,
    text_of,
    values_of_form,
    written,
)

WRITTEN = """
version: 1
name: pets
selector: {version: 1, where: {extension: jpg}}
labels: {from: {result: {action: kind, column: label}}, map: {kitten: cat}, unlabelled: drop}
limits: {per_class_max: 9}
splits: {fractions: {train: 0.7, val: 0.3}, seed: 3, group_by: tree}
layout: {id: csv_table, options: {}}
mode: view
"""
OFFER = Offer(
    (("metadata:source", "source"), ("result:kind:label", "kind"),
     ("source_metadata:web:label", "web")),
    (("Cats", {"version": 1, "where": {"extension": ["jpg"]}}),
     ("Films", {"version": 1, "where": {"media_type": ["video"]}})),
    ("csv_table", "flat", "imagefolder"),
)  # fmt: skip


def test_the_form_shows_what_a_definition_says():
    document = read_text(WRITTEN)
    assert document is not None
    values = values_of_form(document, OFFER)
    assert values == {
        "name": "pets", "view": "Cats", "labels": "result:kind:label", "unlabelled": "drop",
        "train": 70, "val": 30, "test": None, "seed": 3, "missing_class": "error",
        "layout": "csv_table", "mode": "view",
    }  # fmt: skip
    assert set(values) == {field.name for field in fields_of_form(OFFER)}
    assert written(document, values, OFFER) == document
    assert split_rows(document, 10) == [("train", "70 %", 7), ("val", "30 %", 3)]


@pytest.mark.parametrize(
    ("name", "value", "path", "wanted"),
    [
        ("name", "dogs", "name", "dogs"),
        ("view", "Films", "selector", {"version": 1, "where": {"media_type": ["video"]}}),
        ("labels", "metadata:source", "labels.from", {"metadata": {"field": "source"}}),
        ("labels", "source_metadata:web:label", "labels.from",
         {"source_metadata": {"source": "web", "column": "label"}}),
        ("labels", "none", "labels", None),
        ("labels", AS_WRITTEN, "labels.map", {"kitten": "cat"}),
        ("unlabelled", "keep", "labels.unlabelled", "keep"),
        ("test", 30.0, "splits.fractions", {"train": 0.7, "val": 0.3, "test": 0.3}),
        ("val", None, "splits.fractions", {"train": 0.7}),
        ("seed", 4, "splits.seed", 4),
        ("missing_class", "allow", "splits.missing_class", "allow"),
        ("layout", "flat", "layout", "flat"),
        ("mode", "copy", "mode", "copy"),
    ],
)  # fmt: skip
def test_one_choice_changes_one_thing(name: str, value: object, path: str, wanted: object):
    document = read_text(WRITTEN)
    assert document is not None
    new = written(document, values_of_form(document, OFFER) | {name: value}, OFFER)
    found: object = new
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    assert found == wanted
    # Everything else is as it was, and it is read back as it was chosen.
    top = path.partition(".")[0]
    assert {key: new[key] for key in new if key != top} == {
        key: document[key] for key in document if key != top
    }
    if value != AS_WRITTEN:
        assert values_of_form(new, OFFER)[name] == value
    assert read_text(text_of(new)) == new


def test_what_the_form_makes_can_be_read():
    document = read_text(WRITTEN.replace("limits: {per_class_max: 9}", ""))
    assert document is not None
    values = values_of_form(document, OFFER)
    values |= {"train": 50.0, "val": 25.0, "test": 25.0, "layout": "flat", "labels": "none"}
    definition = read_definition(text_of(written(document, values, OFFER)))
    assert definition.splits.fractions == {"train": 0.5, "val": 0.25, "test": 0.25}
    assert definition.labels is None


@pytest.mark.parametrize("text", ["", "- a", "a: [", "just words", "x: !!python/object:a.b {}"])
def test_what_is_no_definition_changes_nothing(text: str):
    assert read_text(text) is None


def test_another_splits_names_are_left_alone():
    document = read_text("splits: {fractions: {first: 0.5, second: 0.5}}\nselector: nonsense")
    assert document is not None
    values = values_of_form(document, OFFER)
    assert (values["train"], values["view"]) == (None, AS_WRITTEN)
    assert written(document, values, OFFER) == document
