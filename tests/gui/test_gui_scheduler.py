"""Forms and logs: what is filled in and what is read, without any page."""

from __future__ import annotations

import json
import os
from typing import Literal

import pytest
from gui_harness import Scene
from pydantic import BaseModel

from base.errors import UsageError
from gui.pages.runs.log import PIECE_SIZE_BYTES, find_lines, has_log, program_log, read_piece
from gui.pages.runs.words import run_title
from gui.pages.scheduler.forms_sources import form_of, parameters_of
from gui.reading.desk import Desk
from gui.widgets.forms import Field, fields_of, filled_in, shown_value


class Everything(BaseModel):
    name: str
    count: int | None = None
    share: float = 0.5
    kind: Literal["a", "b"] = "a"
    words: tuple[str, ...] = ()
    document: dict | None = None
    sure: bool = False


def test_fields_come_from_a_model_and_values_go_back():
    fields = fields_of(Everything)
    assert [(one.name, one.kind) for one in fields] == [
        ("name", "text"), ("count", "integer"), ("share", "number"), ("kind", "choice"),
        ("words", "lines"), ("document", "document"), ("sure", "boolean"),
    ]  # fmt: skip
    given = {"name": " cats ", "count": 3.0, "share": "0.25", "kind": "b", "words": "x\n\n y ",
             "document": "{a: [1, 2]}", "sure": True}  # fmt: skip
    values = filled_in(fields, given)
    assert values == {"name": "cats", "count": 3, "share": 0.25, "kind": "b", "words": ["x", "y"],
                      "document": {"a": [1, 2]}, "sure": True}  # fmt: skip
    # What is shown of a value is the value again.
    shown = {one.name: shown_value(one, values[one.name]) for one in fields}
    assert filled_in(fields, shown) == values
    Everything.model_validate(values)


def test_each_mistake_of_a_form_is_a_line():
    given = {"name": "", "count": 1.5, "share": "x", "document": "{a: [", "sure": False}
    with pytest.raises(UsageError) as caught:
        filled_in(fields_of(Everything), given)
    lines = str(caught.value)
    for words in ("Name: fill this in", "Count: write a whole", "Share: write a number",
                  "Document: line 2: is no YAML"):  # fmt: skip
        assert words in lines


@pytest.mark.parametrize(
    "text", ["a: &a [1, 2]\nb: *a", "a: !!python/object:os.system {}", "[" * 5000]
)
def test_documents_that_bite_are_refused(text: str):
    with pytest.raises(UsageError):
        filled_in([Field("document", "document", "Document")], {"document": text})


def test_a_field_that_does_not_count_is_not_asked_for():
    fields = [
        Field("way", "choice", "Way", None, True),
        Field("number", "integer", "Number", None, True, shown_if=("way", "number")),
    ]
    assert filled_in(fields, {"way": "all", "number": "nonsense"}) == {"way": "all"}
    with pytest.raises(UsageError):
        filled_in(fields, {"way": "number", "number": None})


def test_a_browser_brings_in_what_is_in_the_inbox_only(scene: Scene):
    desk = Desk(scene.config)
    try:
        form = form_of(desk, "ua_1", {})
        (folder,) = (one for one in form.fields if one.name == "folder")
        assert [os.path.basename(path) for path, _ in folder.choices] == ["demo"]
        good = {"folder": folder.choices[0][0], "batch": "b", "source": "auto"}
        assert parameters_of(desk, form, good)["batch"] == "b"
        link = os.path.join(desk.store_config.area_path("3a"), "link")
        os.symlink("/etc", link)
        for bad in ("/etc", link, good["folder"] + "/../../.."):
            with pytest.raises(UsageError, match="is not in the inbox"):
                parameters_of(desk, form, {**good, "folder": bad})
        os.unlink(link)
    finally:
        desk.close()


def test_the_form_of_a_folder_keeps_what_its_signal_says(scene: Scene):
    desk = Desk(scene.config)
    folder = os.path.join(desk.store_config.area_path("3a"), "demo")
    ready = os.path.join(folder, "_READY.json")
    said = {"format": "plain-folder", "batch": "demo-11", "user": "ann"}
    try:
        with open(ready, "w", encoding="utf-8") as file:
            json.dump(said, file)
        form = form_of(desk, "ua_1", {"folder": folder})
        assert form.values == {
            "folder": folder,
            "batch": "demo-11",
            "source": "plain-folder",
            "user": "ann",
        }
        assert form_of(desk, "ua_1", {}).signals[folder]["source"] == "plain-folder"
        # Who says something else is heard.
        other = form_of(desk, "ua_1", {"folder": folder, "source": "manifest"})
        assert (other.values["source"], other.values["batch"]) == ("manifest", "demo-11")
    finally:
        os.unlink(ready)
        desk.close()


def test_the_form_of_an_action_has_its_parameters(scene: Scene):
    desk = Desk(scene.config)
    try:
        assert [one.name for one in form_of(desk, "ua_2", {}).fields] == ["action"]
        form = form_of(desk, "ua_2", {"action": "image_variants", "parameters": {"quality": 50}})
        assert form.values["parameters.quality"] == 50
        given = {**form.values, "input": "selector", "selector": "{version: 1}"}
        found = parameters_of(desk, form, given)
        assert found["action"] == "image_variants" and found["selector"] == {"version": 1}
        assert found["parameters"]["quality"] == 50 and "action_batch_id" not in found
        # No file of the machine is read for a dataset, whatever comes from a browser.
        assert "file" not in {one.name for one in form_of(desk, "ua_3", {}).fields}
    finally:
        desk.close()


def test_logs_are_read_in_whole_lines_from_the_end(tmp_path):
    log = tmp_path / "7" / "1-1.log"
    log.parent.mkdir()
    lines = [f"line {number:05} \x1b[31mred\x1b[0m" for number in range(4_000)]
    log.write_text("\n".join(lines) + "\n")
    piece = read_piece(str(tmp_path), "7/1-1.log")
    shown = piece.text.splitlines()
    assert shown[-1] == "line 03999 red" and shown[0].startswith("line ")
    assert piece.end == piece.size_bytes and piece.end - piece.begin <= PIECE_SIZE_BYTES
    before = read_piece(str(tmp_path), "7/1-1.log", piece.begin)
    assert before.end == piece.begin
    assert before.text.splitlines()[-1] < shown[0]
    assert find_lines(str(tmp_path), "7/1-1.log", "LINE 0001") == [
        f"line 0001{digit} red" for digit in range(10)
    ]
    assert program_log("7/1-1.log") == "7/1-1-program.log"


@pytest.mark.parametrize(
    "path", ["../1-1.log", "/etc/passwd", "7/../../x.log", "7/1-1.log\n", "7/a.log"]
)
def test_nothing_but_logs_of_attempts_is_read(tmp_path, path: str):
    assert not has_log(str(tmp_path), path)
    with pytest.raises(UsageError):
        read_piece(str(tmp_path), path)


def test_a_log_that_is_a_link_is_not_read(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "secret").write_text("secret")
    os.symlink(tmp_path / "secret", tmp_path / "7" / "1-1.log")
    with pytest.raises(UsageError, match="not on this machine"):
        read_piece(str(tmp_path), "7/1-1.log")


def test_a_run_is_called_by_what_a_person_knows():
    assert (
        run_title("ua_2", {"action": "ocr", "action_batch_id": 7}) == "Run an action: ocr, batch 7"
    )
    assert run_title("scrub", {}) == "Verify the disks"
    assert len(run_title("ua_1", {"batch": "x" * 500})) <= 120
