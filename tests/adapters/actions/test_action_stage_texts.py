"""Texts of sidecars and listings, made of templates that are read once: the same as filled plainly.

What is compared is written out, or made by the json module of the plain value.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from adapters.actions.contract.templates import TemplateError, render, renderer, value_of
from adapters.actions.stage.stage_texts import json_writer

TIME = datetime.datetime(2024, 5, 31, 12, tzinfo=datetime.UTC)
HOSTILE = '50 % "quoted" %s {x} \\ \n\u2028 \U0001f600 \ud800 ünï'
FIELDS: dict[str, Any] = {
    "node.key": "ab" * 32,
    "node.node_id": 12,
    "node.size_bytes": -3,
    "metadata.title": HOSTILE,
    "metadata.view": None,
    "metadata.update_time": TIME,
    "parameters.share": 0.25,
    "parameters.exact": True,
    "file.path": "in/12.png",
}


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        ({}, {}),
        ({"id": "{node.node_id}", "no": "{metadata.view}"}, {"id": 12, "no": None}),
        (
            {"100 %": ["{metadata.title}", 5, 0.5, None, True, []], "%s": {"a": {}, "b": "%d"}},
            {"100 %": [HOSTILE, 5, 0.5, None, True, []], "%s": {"a": {}, "b": "%d"}},
        ),
        ({1: "{parameters.share}", None: "{parameters.exact}"}, {1: 0.25, None: True}),
        ({"t": "{metadata.update_time}", "{x}": "{{{node.node_id:04}}}"}, None),
    ],
)
def test_json_is_that_of_the_plain_value(content: Any, plain: Any):
    if plain is None:
        plain = {"t": TIME.isoformat(), "{x}": "{0012}"}
    assert json_writer(content)(FIELDS) == json.dumps(plain, ensure_ascii=False)


@pytest.mark.parametrize(
    ("template", "text", "path"),
    [
        ("", "", ""),
        ("100 %s/{node.node_id}%", "100 %s/12%", "100 %s/12%"),
        ("{node.node_id:06}.png", "000012.png", "000012.png"),
        ("{node.size_bytes}", "-3", "_3"),
        ("{metadata.view}", "", "_"),
        ("{parameters.exact}-{parameters.share}", "true-0.25", "true-0.25"),
        ("{file.path}.json", "in/12.png.json", "in/12.png.json"),
        ("{node.key}", "ab" * 32, "ab" * 32),
        ("{metadata.update_time}", TIME.isoformat(), TIME.isoformat()),
    ],
)
def test_a_template_as_text_and_as_a_path(template: str, text: str, path: str):
    assert (render(template, FIELDS), render(template, FIELDS, path=True)) == (text, path)


def test_a_long_value_is_cut_in_a_path_at_whole_characters():
    fields = {"metadata.title": "ü" * 100, "node.key": "k" * 121}
    assert render("{metadata.title}", fields, path=True) == "ü" * 60
    assert render("{node.key}", fields, path=True) == "k" * 120
    assert render("{node.key}", fields) == "k" * 121


def test_a_field_that_is_not_there_is_named():
    with pytest.raises(TemplateError, match=r"there is no field \{node\.key\} here"):
        renderer("a{node.key}")({})
    assert value_of("{node.key}", {}) is None
