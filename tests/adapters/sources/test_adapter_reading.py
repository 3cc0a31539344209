"""What the formats share: documents of a folder, files of media, and drafts of records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.gallery_dl.generic import WEB
from adapters.sources.reading.adapter import DocumentAdapter, Found, Part, of_value
from adapters.sources.reading.documents import (
    JSON,
    JSON_AND_XML,
    document_paths,
    documents,
    likely_paths,
)
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MediaFinder, base_name
from adapters.sources.reading.rich_text import text_of_element, text_of_post
from adapters.sources.reading.web_address import host_of


def folder_of(root: Path, files: dict[str, str]) -> ScrapeFolder:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return ScrapeFolder.of(str(root))


def values(root: Path, name: str, text: str) -> list[Any]:
    """Return the lines and values of one file; of errors, the type."""
    found = documents(folder_of(root, {name: text}), name)
    return [(d.line, RecordError if isinstance(d.value, RecordError) else d.value) for d in found]


# ---- Documents ---------------------------------------------------------------------------------


def test_documents_are_known_by_extension_and_else_by_their_first_character(tmp_path: Path):
    texts = {"a.json": "x", "b.jsonl": "", "c": " {}", "d.txt": "[1]", "e.dat": "<r/>",
             "f.txt": "hi", "g.md": "[1]", "h.html": "<p>", "i.jpg": "{}",
             "_READY.json": "{}"}  # fmt: skip
    folder = folder_of(tmp_path, texts)
    assert list(document_paths(folder, JSON)) == ["a.json", "b.jsonl", "c", "d.txt"]
    assert list(document_paths(folder, JSON_AND_XML)) == [
        "a.json",
        "b.jsonl",
        "c",
        "d.txt",
        "e.dat",
    ]
    assert likely_paths(folder, JSON) == ["a.json", "b.jsonl", "c", "d.txt"]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", '{"a": 1}', [(None, {"a": 1})]),
        ("a.jsonl", '{"a": 1}', [(1, {"a": 1})]),
        ("a.json", '{"a": 1}\n{"a": 2}', [(1, {"a": 1}), (2, {"a": 2})]),
        ("a.json", '{broken\n{"a": 2}', [(1, RecordError), (2, {"a": 2})]),
        ("a.json", '["id"]\n[7]', [(1, ["id"]), (2, [7])]),
        ("a.json", '{\n"a": [\n]\n', [(None, RecordError)]),
        ("a.json", "// note\n{a: 'x', b: [1,],}", [(None, {"a": "x", "b": [1]})]),
        ("a.json", "{a: Infinity}", [(None, RecordError)]),
        ("a.json", '{"a": 1', [(None, RecordError)]),
        ("a.json", '{"a": "https://e.example/, so: x"', [(None, RecordError)]),
        ("a.json", "", [(None, RecordError)]),
    ],
)
def test_one_document_or_one_per_line(tmp_path: Path, name: str, text: str, expected: list[Any]):
    assert values(tmp_path, name, text) == expected


def test_xml_without_entities(tmp_path: Path):
    [(line, root)] = values(tmp_path, "a.xml", "<rsp stat='ok'/>")
    assert line is None and root.tag == "rsp"
    bomb = '<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>'
    assert values(tmp_path, "b.xml", bomb) == [(None, RecordError)]
    assert values(tmp_path, "c.xml", "<r>" * 300 + "</r>" * 300) == [(None, RecordError)]


# ---- The walk ----------------------------------------------------------------------------------


def read_thing(draft: Draft, value: Any) -> None:
    if "id" not in value:
        raise RecordError("no id")
    draft.subject = f"web:page:{value['id']}"
    draft.observe(draft.subject, {"a": None, "b": "", "c": []})


def split(value: Any) -> Iterator[Found] | None:
    return _split(value) if isinstance(value, dict) and "things" in value else None


def _split(value: dict[str, Any]) -> Iterator[Found]:
    for thing in value["things"]:
        yield Part(read_thing, thing) if isinstance(thing, dict) else RecordError("no thing")
        if isinstance(thing, dict) and "inner" in thing:
            yield Part(read_thing, thing["inner"], is_inner=True)


ADAPTER = DocumentAdapter(
    name="things", tables=(WEB.table,), split=of_value(split), expected="expected things"
)


def items(root: Path, name: str, *whole: Any) -> list[Any]:
    folder = folder_of(root, {name: "\n".join(map(json.dumps, whole))})
    return [
        (item.number, item.subject if isinstance(item, Record) else item.reason)
        for item in ADAPTER.read(folder)
    ]


def test_items_are_numbered_with_their_problems(tmp_path: Path):
    assert items(tmp_path, "a.json", {"things": [{"id": 1}, 5, {}, {"id": 2}]}) == [
        (0, "web:page:1"), (1, "no thing"), (2, "no id"), (3, "web:page:2")
    ]  # fmt: skip


def test_lines_are_named_in_problems(tmp_path: Path):
    assert items(tmp_path, "a.jsonl", {"things": [{"id": 1}]}, {}, {"things": []}, [1]) == [
        (0, "web:page:1"), (1, "line 2: expected things"), (2, "line 4: expected things")
    ]  # fmt: skip


def test_the_same_inner_thing_is_one_record_of_a_file(tmp_path: Path):
    inner = {"id": 9}
    things = [{"id": 1, "inner": inner}, {"id": 2, "inner": inner}]
    assert [subject for _, subject in items(tmp_path, "a.json", {"things": things})] == [
        "web:page:1", "web:page:9", "web:page:2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        ({"things": []}, "nothing in it: expected things"),
        ({"x": 1}, "expected things"),
        ({"things": [], "category": "x", "subcategory": "y"}, "expected things"),
    ],
)
def test_a_file_without_records_is_one_problem(tmp_path: Path, whole: Any, reason: str):
    assert items(tmp_path, "a.json", whole) == [(-1, reason)]


def test_a_record_that_is_the_file_repeats_nothing(tmp_path: Path):
    alone = DocumentAdapter(
        "alone", (WEB.table,), of_value(lambda value: [Part(read_thing, value)]), ""
    )
    [record] = alone.read(folder_of(tmp_path, {"a.json": '{"id": 1}'}))
    assert not isinstance(record, Problem)
    assert (record.number, record.complete, record.observations[0].meta) == (-1, None, {})


# ---- Media -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://a.example/x/photo1.jpg?size=1#top", "photo1.jpg"),
        ("https://a.example/media/AbCdEf?format=jpg&name=large", "AbCdEf.jpg"),
        ("https://a.example/media/AbCdEf.jpg:large", "AbCdEf.jpg"),
        ("https://a.example/", ""),
        ("http://[", ""),
        ("https://a.example/a%00b.jpg", ""),
        (5, ""),
    ],
)
def test_base_names(address: object, name: str):
    assert base_name(address) == name


@settings(max_examples=500)
@given(
    scheme=st.sampled_from(["http:", "https:", "HTTP:", ""]),
    host=st.sampled_from(["a.b", "Z-0", "a:1", "u@a", "[::1]", "[a", ""]),
    rest=st.text("a.a./?#:" + "@[=\u00e9\t", max_size=12),
)
def test_addresses_are_taken_apart_as_the_library_does(scheme: str, host: str, rest: str):
    address = f"{scheme}//{host}/{rest}".strip()
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").lower() or None
    except ValueError:
        assert (host_of(address), base_name(address)) == (None, "")
        return
    assert host_of(address) == host
    name = parts.path.rpartition("/")[2]
    if "." in name and "\0" not in name and "%" not in name:
        stem, colon, _ = name.partition(":")
        assert base_name(address) == (name if colon and "." not in stem else stem)


def test_media_by_address(tmp_path: Path):
    names = [
        "a/sunset.jpg",
        "a/original.jpg",
        "b/s.png",
        "a/post1.json",
        "a/b c d.jpg",
        "b/key123.mp4",
    ]
    finder = MediaFinder(folder_of(tmp_path, dict.fromkeys(names, "x")))

    def found(address: str, is_name_unique: bool = False) -> str | None:
        file = finder.by_address(address, "a/r.json", is_name_unique)
        return file.path if file else None

    assert found("https://e.example/sunset.jpg") == "a/sunset.jpg"
    assert found("https://e.example/b%20c%20d.jpg") == "a/b c d.jpg"
    assert found("https://e.example/key123") == "b/key123.mp4"
    assert found("https://e.example/original.jpg") is None
    assert found("https://e.example/s.png") is None
    assert found("https://e.example/s.png", is_name_unique=True) == "b/s.png"
    assert found("https://e.example/post1.json", is_name_unique=True) is None
    assert found("https://e.example/..%2F..%2Fpasswd") is None


def test_a_name_counts_only_when_it_is_the_only_one(tmp_path: Path):
    names = [
        "a/77.jpg",
        "a/77.mp4",
        "b/77.jpg",
        "b/88.jpg",
        "c/88.jpg",
        "c/A talk [dQw4w9WgXcQ].webm",
    ]
    finder = MediaFinder(folder_of(tmp_path, dict.fromkeys(names, "x")))
    assert finder.by_stem("77", "a/r.json") == MediaFile("a/77.mp4")
    assert finder.by_stem("77", "b/r.json") == MediaFile("b/77.jpg")
    assert finder.by_stem("77", "r.json") is None
    assert finder.by_stem("88", "a/r.json") is None
    assert finder.by_stem("dQw4w9WgXcQ", "a/r.json") == MediaFile(names[-1])
    assert finder.all_by_stem("77", "a/r.json") == [MediaFile("a/77.mp4"), MediaFile("a/77.jpg")]


_PIECES = st.sampled_from(
    ["<p>", "</p>", "<br>", "<br />", '<a href="https://a.test/?b=1&amp;c">', "</a>", "<b>", "</b>",
     "&amp;", "&lt;3", "&nbsp;", "&copy;", " ", "\n", "\r\n", "a", "word", "é", '<span class="x">',
     "</span>", "<div>", "</div>", "1 < 2", "&"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(_PIECES, max_size=6).map("".join), max_size=6))
def test_plain_html_is_read_as_the_parser_reads_it(paragraphs: list[str]):
    html = "".join(f"<p>{one}</p>" if "p>" not in one else one for one in paragraphs)
    parsed = text_of_element(BeautifulSoup(f"<div>{html}</div>", "html.parser"))
    assert (text_of_post(html) or None) == parsed
