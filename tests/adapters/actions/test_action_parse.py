"""Reading outputs: every format, and everything a program can do wrong, one by one."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hand_off_harness import png
from store_harness import write_files

from adapters.actions.contract.contract import ActionContract
from adapters.actions.contract.stage_model import StagedInput
from adapters.actions.outputs import parse_outputs, parse_readers
from adapters.actions.outputs import tree as outputs_tree
from adapters.actions.outputs.parse_outputs import Parsed
from adapters.records.errors import LimitError

KEYS = ["a" * 64, "b" * 64, "c" * 64]
INPUTS = tuple(
    StagedInput(node_id, key, f"in/deep/{name}", 1_000, "png", "image")
    for node_id, key, name in zip(
        (11, 12, 13), KEYS, ("one.png", "two.png", "one.jpg"), strict=True
    )
)
COLUMNS = {
    "text": "text", "whole": "integer", "large": "bigint", "number": "double precision",
    "truth": "boolean", "time": "timestamptz", "day": "date", "texts": "text[]",
    "numbers": "double precision[]",
}  # fmt: skip
CHILD = {"relationship": "made of", "is_root": True}
Read = Callable[..., Parsed]


@pytest.fixture
def read(tmp_path) -> Read:
    """A function that writes files and reads them by one output; more may be said of the parser."""

    def parse(files: dict[str, bytes], parser: dict[str, Any] | None = None, **output: Any):
        root = write_files(str(tmp_path / "output"), files)
        given = {
            "name": "it", "glob": "**", "input": {"field": "id", "equals": "node_id"}, **output
        }  # fmt: skip
        contract = ActionContract.model_validate(
            {
                "action_id": 1, "name": "x", "type": "AC2", "version": 1, "description": "x",
                "output_parser": {"outputs": [given], **(parser or {})},
                "result_schema": {
                    name: {"type": kind, "description": name} for name, kind in COLUMNS.items()
                },
            }
        )  # fmt: skip
        return parse_outputs.parse_outputs(
            contract, INPUTS, "/stage/input", root, {"png", "txt", "json", "mp4", "jpg", "wav"}
        )

    return parse


def troubles(parsed: Parsed) -> list[tuple[str, int, str]]:
    return [(t.path, t.number, t.reason) for t in parsed.troubles]


def reasons(parsed: Parsed) -> list[str]:
    return [trouble.reason for trouble in parsed.troubles]


def lines(*records: Any) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


# ---- Matching --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equals", "value", "node_id"),
    [
        ("node_id", 12, 12),
        ("node_id", "12", 12),
        ("key", "B" * 64, 12),
        ("path", "in/deep/two.png", 12),
        ("path", "./in/deep/two.png", 12),
        ("path", "/stage/input/in/deep/two.png", 12),
        ("file_name", "two.png", 12),
        ("stem", "two", 12),
        ("stem", "one", None),
        ("path", "/etc/passwd", None),
        ("path", "in/deep/../deep/two.png", None),
        ("node_id", 12.0, None),
        ("node_id", True, None),
        ("node_id", [12], None),
        ("node_id", None, None),
        ("file_name", "TWO.PNG", None),
    ],
)
def test_how_a_record_names_its_input(read: Read, equals: str, value: Any, node_id: int | None):
    parsed = read(
        {"r.jsonl": lines({"who": {"is": value}, "t": "x"})},
        format="jsonl",
        input={"field": "who.is", "equals": equals},
        results={"text": "t"},
    )
    assert parsed.seen == ({node_id} if node_id else set())
    assert len(parsed.troubles) == (0 if node_id else 1)


def test_two_inputs_of_one_name_are_told(read: Read):
    parsed = read({"one.txt": b"x"}, format="file_name", input={"field": "stem", "equals": "stem"})
    assert reasons(parsed) == ["stem is 'one', the stem of several inputs"]


# ---- JSON, JSON lines, CSV -------------------------------------------------------------------


def test_json_objects_and_arrays(read: Read):
    files = {
        "object.json": lines({"id": 11, "t": "a"}),
        "array.json": lines([{"id": 12, "t": "b"}, 7, {"id": 12, "t": "c"}]),
        "half.json": b'{"id": 13, "t": "d',
        "empty.json": b"",
        "latin.json": '{"id": 13, "t": "caf\xe9"}'.encode("latin-1"),
        "utf16.json": '{"id": 13}'.encode("utf-16"),
        "text.json": b'"11"',
        "nan.json": b'{"id": 13, "t": NaN}',
        "deep.json": b"[" * 5_000 + b"]" * 5_000,
    }
    parsed = read(files, format="json", results={"text": "t"})
    assert parsed.rows == {11: [{"text": "a"}], 12: [{"text": "b"}, {"text": "c"}]}
    found = {(path, number): reason for path, number, reason in troubles(parsed)}
    assert found.pop(("array.json", 1)).startswith("a record that is no object")
    assert {path for path, _ in found} == {
        "half.json", "empty.json", "latin.json", "utf16.json", "text.json", "nan.json", "deep.json",
    }  # fmt: skip
    assert all(number == -1 for _, number in found)


def test_records_lie_deeper_in_a_document(read: Read):
    document = {"made": {"items": [{"id": 11, "t": "a"}]}}
    parsed = read(
        {"r.json": lines(document)}, format="json", records="made.items", results={"text": "t"}
    )
    assert parsed.rows == {11: [{"text": "a"}]}
    wrong = read({"r.json": lines({"made": 1})}, format="json", records="made.items")
    assert reasons(wrong) == ["there is no array at 'made.items'"]


def test_json_lines(read: Read):
    good, late = lines({"id": 11, "t": "a"}), lines({"id": 12, "t": "b"})
    data = b"\n".join([good, b"", b"{", b'{"id": 11, "t": "\xff"}', late]) + b"\n" + late[:-4]
    parsed = read({"r.jsonl": data}, format="jsonl", results={"text": "t"})
    assert parsed.rows == {11: [{"text": "a"}], 12: [{"text": "b"}]}
    assert [trouble.number for trouble in parsed.troubles] == [2, 3, 5]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv(read: Read, delimiter: str):
    table = [
        ["id", "n", "t"], ["11", "1", "a"], ["12", "", "b"], ["12", "x", "c"], ["13", "2"],
        ["13", "2", "d", "e"], ["14", "2", "f"],
    ]  # fmt: skip
    data = "\r\n".join(delimiter.join(row) for row in table).encode()
    parsed = read(
        {"r.csv": b"\xef\xbb\xbf" + data}, format="csv", results={"whole": "n", "text": "t"}
    )
    assert parsed.rows == {11: [{"whole": 1, "text": "a"}], 12: [{"text": "b"}]}
    assert [trouble.number for trouble in parsed.troubles] == [2, 3, 4, 5]
    assert parsed.troubles[0].node_id == 12


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no header"),
        (b"id,id\n1,2\n", "no header"),
        ("id,t\n11,a\n".encode("utf-16"), "UTF-16"),
        (b"id,\xff\n11,a\n", "the header is no UTF-8"),
    ],
)
def test_a_table_without_a_header(read: Read, data: bytes, reason: str):
    parsed = read({"r.csv": data}, format="csv", results={"text": "t"})
    assert len(parsed.troubles) == 1 and reason in parsed.troubles[0].reason


def test_a_column_that_is_not_there(read: Read):
    parsed = read({"r.csv": b"id,other\n11,a\n"}, format="csv", results={"text": "t"})
    assert reasons(parsed) == ["there is no field 't'"]
    parsed = read({"r.csv": b"id,t\n11,\n"}, format="csv", results={"text": "t"})
    assert reasons(parsed) == ["it has none of the fields t"]


VALUES: list[tuple[str, Any, bool]] = [
    ("text", "x", True), ("text", 1, False), ("text", "a\0b", False), ("text", "\ud800", False),
    ("whole", 1, True), ("whole", 2**31, False), ("whole", 1.0, False), ("whole", True, False),
    ("whole", "1", False), ("large", 2**63 - 1, True), ("large", 2**63, False),
    ("number", 1, True), ("number", 0.5, True), ("number", "0.5", False), ("number", False, False),
    ("truth", True, True), ("truth", 1, False), ("truth", "true", False),
    ("time", "2024-05-31T12:00:00Z", True), ("time", "2024-05-31T12:00:00", False),
    ("time", "0001-01-01T00:00:00+14:00", False), ("time", 17, False),
    ("day", "2024-05-31", True), ("day", "2024-05-31T12:00:00Z", False), ("day", "31.5.24", False),
    ("texts", ["a"], True), ("texts", ["a", None], False), ("texts", "a", False),
    ("numbers", [1, 2.5], True), ("numbers", [[1]], False),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value", "fits"), VALUES)
def test_a_value_is_refused_not_bent(read: Read, column: str, value: Any, fits: bool):
    parsed = read({"r.json": lines({"id": 11, "v": value})}, format="json", results={column: "v"})
    assert bool(parsed.rows) == fits
    assert len(parsed.troubles) == (not fits)


@pytest.mark.parametrize(
    ("column", "value", "made"),
    [
        ("whole", "7", 7), ("whole", "7.0", None), ("whole", "1_000", None), ("number", "7", 7.0),
        ("number", "nan", None), ("number", "1e400", None), ("truth", "Yes", True),
        ("truth", "maybe", None), ("texts", "a", None),
    ],
)  # fmt: skip
def test_text_is_read_as_numbers_where_a_format_knows_only_text(
    read: Read, column: str, value: str, made: Any
):
    data = f"id,v\n11,{value}\n".encode()
    parsed = read({"r.csv": data}, format="csv", results={column: "v"})
    assert parsed.rows == ({11: [{column: made}]} if made is not None else {})


def test_the_same_row_twice_harms_nobody(read: Read):
    record = {"id": 11, "t": "a"}
    parsed = read({"r.jsonl": lines(record, record)}, format="jsonl", results={"text": "t"})
    assert parsed.rows == {11: [{"text": "a"}]}
    assert [trouble.harmless for trouble in parsed.troubles] == [True]


# ---- Files and children ----------------------------------------------------------------------


def named(read: Read, value: Any, **more: bytes):
    files = {"list/r.json": lines({"id": 11, "file": value}), "made/a.png": png(1), **more}
    return read(
        files, {"ignore": ["made/*"]}, glob="list/*", format="json", child=CHILD, child_path="file"
    )


@pytest.mark.parametrize("value", ["made/a.png", "./made/a.png", "made//a.png"])
def test_a_record_names_its_child(read: Read, value: str):
    (child,) = named(read, value).children
    assert (child.node_id, child.path, child.extension) == (11, "made/a.png", "png")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("../../etc/passwd", "leads out"),
        ("/etc/passwd", "leads out"),
        ("made/../../made/a.png", "leads out"),
        ("made", "is not there"),
        ("", "names no file"),
        (None, "names no file"),
        (7, "names no file"),
        ("made/\0.png", "names no file"),
    ],
)
def test_a_record_that_names_a_file_elsewhere(read: Read, value: Any, reason: str):
    parsed = named(read, value)
    assert parsed.children == [] and reason in parsed.troubles[0].reason


def test_links_and_odd_files_are_never_opened(read: Read, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_bytes(lines({"id": 11, "t": "secret"}))
    root = tmp_path / "output"
    (root / "real").mkdir(parents=True)
    os.symlink(secret, root / "link.json")
    os.symlink(tmp_path, root / "folder")
    os.symlink("real", root / "inside")
    os.mkfifo(root / "pipe.json")
    parsed = read(
        {"real/r.json": lines({"id": 12, "t": "b"})}, format="json", results={"text": "t"}
    )
    assert parsed.rows == {12: [{"text": "b"}]}
    assert sorted(troubles(parsed)) == [
        ("folder", -1, "a symbolic link, not a file"),
        ("inside", -1, "a symbolic link, not a file"),
        ("link.json", -1, "a symbolic link, not a file"),
        ("pipe.json", -1, "a FIFO, not a file"),
    ]


def test_a_file_that_changes_while_it_is_read(tmp_path):
    root = write_files(str(tmp_path), {"a.json": b"{}"})
    tree = outputs_tree.list_outputs(root)
    write_files(root, {"a.json": b"{ }"})
    with pytest.raises(Exception, match="changed after"), tree.open("a.json"):
        pass
    os.unlink(tmp_path / "a.json")
    os.symlink("/etc/passwd", tmp_path / "a.json")
    with pytest.raises(Exception, match="cannot be read"), tree.open("a.json"):
        pass


def wav(claimed: int) -> bytes:
    return b"RIFF" + struct.pack("<I", claimed) + b"WAVE" + bytes(100)


def box(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack(">I", (8 + len(data)) if length is None else length) + kind + data


MP4 = box(b"ftyp", b"isom" + bytes(12)) + box(b"mdat", bytes(100))


@pytest.mark.parametrize(
    ("name", "data", "extension"),
    [
        ("a.png", png(1), "png"),
        ("a.png", png(1)[:-30], None),
        ("a", png(1), "png"),
        ("a.dat", png(1), "png"),
        ("a.jpg", png(1), "png"),
        ("a.png", b"\xff\xd8\xff\xe0" + bytes(50) + b"\xff\xd9", "jpg"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(50), None),
        ("a.png", b"not a picture", None),
        ("a.png", b"", None),
        ("a.wav", wav(104), "wav"),
        ("a.wav", wav(0xFFFFFFFF), "wav"),
        ("a.wav", wav(4_000), None),
        ("a.mp4", MP4, "mp4"),
        ("a.mp4", MP4[:-1], None),
        ("a.txt", "café".encode(), "txt"),
        ("a.txt", b"caf\xe9", None),
        ("a.json", b"a\0b", None),
        ("a.exe", b"MZ", None),
        ("a.gif", b"GIF89a" + bytes(20) + b";", None),
    ],
)
def test_a_child_is_what_its_bytes_say(read: Read, name: str, data: bytes, extension: str | None):
    """The last one is whole, but not among the extensions that are allowed here."""
    parsed = read(
        {"11/" + name: data},
        regex="(?P<id>[0-9]+)/.*",
        format="file",
        child=CHILD,
    )
    assert [child.extension for child in parsed.children] == ([extension] if extension else [])
    assert len(parsed.troubles) == (not extension)


def test_positions(read: Read):
    files = {f"11_{name}.txt": b"x" for name in ("0", "007", "-1", "x", "99999999999")}
    parsed = read(
        files,
        regex=r"(?P<id>\d+)_(?P<place>.*)\.txt",
        format="file",
        child={**CHILD, "position": "place"},
    )
    assert sorted(child.position or 0 for child in parsed.children) == [0, 7]
    assert len(parsed.troubles) == 3


# ---- Limits ----------------------------------------------------------------------------------


def test_limits(read: Read, monkeypatch: pytest.MonkeyPatch, tmp_path):
    long = read({"a.jsonl": lines({"id": 11, "t": "a"})}, format="jsonl", results={"text": "t"})
    assert long.rows
    monkeypatch.setattr(parse_readers, "LINE_BYTES_MAX", 40)
    data = lines({"id": 11, "t": "x" * 50}, {"id": 12, "t": "b"})
    parsed = read({"a.jsonl": data}, format="jsonl", results={"text": "t"})
    assert parsed.rows == {12: [{"text": "b"}]} and "more than 40 bytes" in reasons(parsed)[0]
    monkeypatch.setattr(parse_readers, "DOCUMENT_BYTES_MAX", 30)
    parsed = read({"a.jsonl": lines({"id": 11, "t": "x" * 30})}, format="json")
    assert "at most 30" in reasons(parsed)[0]
    monkeypatch.setattr(parse_outputs, "RECORDS_MAX", 1)
    with pytest.raises(LimitError, match="more than 1 records"):
        read({"a.jsonl": lines({"id": 11, "t": "a"}, {"id": 12, "t": "b"})}, format="jsonl")
    monkeypatch.setattr(outputs_tree, "OUTPUT_FILES_MAX", 3)
    with pytest.raises(LimitError, match="more than 3 files"):
        read({f"{number}": b"" for number in range(4)}, format="json")


def test_folders_that_are_too_deep(read: Read, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outputs_tree, "OUTPUT_DEPTH_MAX", 2)
    parsed = read(
        {"1/2/3/r.json": lines({"id": 11, "t": "a"})}, format="json", results={"text": "t"}
    )
    assert reasons(parsed) == ["lies deeper than 2 folders"]


def test_names_that_are_no_unicode(read: Read):
    parsed = read(
        {"a\udcff.json": lines({"id": 11, "t": "a"})}, format="json", results={"text": "t"}
    )
    assert parsed.rows == {11: [{"text": "a"}]}
