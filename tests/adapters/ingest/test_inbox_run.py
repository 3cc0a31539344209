"""The inbox is worked off whatever lies in it: one folder stops no other."""

from __future__ import annotations

import json
import os

import pytest
from command import drystone, json_lines
from ingest_harness import PNG, House

from adapters.ingest.inbox import waiting_folders
from base.errors import UsageError

FILES = {"one.png": PNG}


def signalled(house: House, name: str, signal: object, files: dict[str, bytes] = FILES) -> str:
    """Write a folder into the inbox with a signal: a document, or the bytes of one."""
    folder = house.scrape(
        name, {key: data + name.encode("utf-8", "surrogateescape") for key, data in files.items()}
    )
    data = signal if isinstance(signal, bytes) else json.dumps(signal).encode()
    with open(os.path.join(folder, "_READY.json"), "wb") as file:
        file.write(data)
    return folder


def ready(batch: str, **others: object) -> dict[str, object]:
    return {"format": "plain-folder", "batch": batch, **others}


def test_one_bad_folder_of_each_kind_stops_no_other(house: House):
    signalled(house, "a-nul", ready("a", user="a\0b"))
    signalled(house, "b-surrogate", b'{"batch": "b", "format": "plain-folder", "user": "\\ud800"}')
    signalled(house, "c-long", ready("c", user="x" * 201))
    signalled(house, "d-format", b'{"batch": "d", "format": "\\udcff"}')
    signalled(house, "e-extra", b'{"batch": "e", "\\udcff\\n": 1}')
    signalled(house, "f-deep", b"[" * 50_000)
    signalled(house, "g-large", b" " * 100_000)
    # Two folders under one name: the second is refused, by UA_1 and not by the signal.
    signalled(house, "h-first", ready("twice"))
    signalled(house, "i-second", ready("twice"))
    signalled(house, "latin-\udce9", ready("latin", user="Zo\u00eb"))
    signalled(house, "z-good", ready("good"))
    house.scrape("waits", {"a.txt": b"not yet"})
    house.scrape(".mine", {"a.txt": b"none of yours"})

    result = drystone("inbox", "run", "--config", house.config_path, expect=3)
    said = result.stderr.decode()
    assert "Traceback" not in said
    for name in ("a-nul", "b-surrogate", "c-long", "d-format", "e-extra", "f-deep", "g-large"):
        assert said.count(f"{name}: left alone: ") == 1
    assert "i-second: batch twice is" in said and ".mine" not in said
    states = {batch.name: batch.state for batch in house.database.ingests.batches()}
    assert states == {"twice": "packed", "latin": "packed", "good": "packed"}

    (rows,) = json_lines(drystone("inbox", "list", "--json", "--config", house.config_path))
    listed = {row["folder"]: (row["batch"], row["state"]) for row in rows}
    assert listed["latin-\udce9"] == ("latin", "packed") and listed["z-good"] == ("good", "packed")
    assert listed["waits"] == (None, "no _READY.json yet") and len(listed) == 12
    drystone("inbox", "list", "--config", house.config_path)


def test_folders_without_a_signal_are_no_failure(house: House):
    house.scrape("waits", {"a.txt": b"not yet"})
    signalled(house, "good", ready("good"))
    drystone("inbox", "run", "--config", house.config_path)


def test_an_error_of_the_database_about_one_folder_stops_no_other(house: House):
    signalled(house, "a", ready("a"))
    signalled(house, "b", ready("b"))
    with house.database.connection() as connection:
        # A database that refuses this one batch, as a full disk or a broken row would.
        connection.execute("ALTER TABLE ingest_batch ADD CONSTRAINT not_a CHECK (name <> 'a')")
    result = drystone("inbox", "run", "--config", house.config_path, expect=3)
    assert "a: the database refuses" in result.stderr.decode()
    states = {batch.name: batch.state for batch in house.database.ingests.batches()}
    assert states == {"b": "packed"}


def test_without_the_engine_nothing_is_tried(house: House):
    signalled(house, "a", ready("a"))
    signalled(house, "b", ready("b"))
    house.store.stop()
    result = drystone("inbox", "run", "--config", house.config_path, expect=1)
    said = result.stderr.decode()
    assert said.count("drystone: ") == 1 and "Traceback" not in said
    assert house.database.ingests.batches() == []


@pytest.mark.parametrize("user", ["x" * 201, "a\nb", "a\udcffb", ""])
def test_a_user_that_cannot_be_stored_is_refused_at_once(house: House, user: str):
    folder = house.scrape("a", FILES)
    command = ("ingest", folder, "--batch", "a", "--source", "plain-folder", "--user", user)
    result = drystone(*command, "--config", house.config_path, expect=2)
    said = result.stderr.decode()
    assert "cannot be a user" in said and said.count("\n") == 1


def test_an_inbox_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="cannot be listed"):
        waiting_folders(str(tmp_path / "none"))


def test_a_signal_that_leads_nowhere_is_told(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "_READY.json").symlink_to("nowhere")
    (found,) = waiting_folders(str(tmp_path))
    assert found.is_refused and "no regular file" in (found.problem or "")
