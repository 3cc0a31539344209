"""The client against a real engine: every method once, every refusal as the error it names."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
from store_harness import Store, write_files

from base.errors import DrystoneError, UsageError
from base.operations.remote import split_lines
from fsd.client.client import Client, check_key
from fsd.format.errors import EngineUnavailableError, FsdError, ManifestError, NotFoundError

HOSTILE = {
    "plain.txt": b"plain",
    "sub/folder/deep.bin": os.urandom(200_000),
    "new\nline.txt": b"newline",
    "caf\udce9.txt": b"not UTF-8",
    "empty": b"",
    "twin": b"plain",
}


def write_manifest(path: str, *entries: dict[str, object]) -> str:
    with open(path, "w", encoding="ascii") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)
    return path


def read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@pytest.fixture
def filled(store, tmp_path) -> tuple[Store, dict[str, str]]:
    made = store()
    folder = write_files(str(tmp_path / "source"), HOSTILE)
    return made, made.put(folder, "first")


def test_nobody_answers(tmp_path):
    with pytest.raises(EngineUnavailableError, match="drystone up"):
        Client(str(tmp_path / "engine.sock")).health()


def test_files_come_back_as_they_went(filled, tmp_path):
    made, keys = filled
    assert keys == {path: hashlib.sha256(data).hexdigest() for path, data in HOSTILE.items()}
    for number, (path, key) in enumerate(keys.items()):
        output = str(tmp_path / f"out{number}")
        head = made.client.read(key, output)
        assert read_file(output) == HOSTILE[path]
        assert (head.key, head.size_bytes) == (key, len(HOSTILE[path]))
        assert (head.copies, head.copies_target) == (2, 2)
        assert len(set(head.disks)) == 2


def test_batches_are_listed(filled):
    made, _ = filled
    (batch,) = made.client.batches()
    assert batch == made.client.batch("first")
    assert (batch.batch, batch.files, batch.sealed) == ("first", len(HOSTILE), True)
    assert batch.size_bytes == sum(map(len, HOSTILE.values()))


def test_the_report_has_one_line_per_file(filled, tmp_path):
    made, keys = filled
    folder = write_files(str(tmp_path / "second"), {"old": b"plain", "new": b"brand new"})
    os.symlink("/etc/passwd", os.path.join(folder, "link"))
    job = made.client.batch_write(folder, "second")
    lines = {line["path"]: line for line in made.client.report(job.job_id)}
    assert set(lines) == {"old", "new", "link"}
    assert lines["old"]["status"] == "existing"
    assert lines["old"]["key"] == keys["plain.txt"]
    assert lines["new"]["status"] == "written"
    assert lines["link"]["status"] == "skipped"
    assert lines["link"]["reason"]
    ended = made.client.wait(job.job_id)
    assert (ended.state, ended.result["skipped"], ended.result["failed"]) == ("done", 1, 0)


def test_listed_files_only(filled, tmp_path):
    made, _ = filled
    folder = write_files(str(tmp_path / "some"), {"a": b"1", "b/c": b"2", "d": b"3"})
    job = made.client.batch_write(folder, "listed", "generated", ["a", "b/c"])
    assert made.client.wait(job.job_id).state == "done"
    assert {file.path for file in made.client.batch_files("listed")} == {"a", "b/c"}
    assert made.client.batch("listed").class_name == "generated"


def test_what_does_not_exist(filled, tmp_path):
    client = filled[0].client
    with pytest.raises(NotFoundError):
        client.head("0" * 64)
    with pytest.raises(NotFoundError):
        client.batch("nothing")
    with pytest.raises(NotFoundError):
        list(client.batch_files("nothing"))
    with pytest.raises(NotFoundError):
        client.job("nothing")
    with pytest.raises(NotFoundError):
        client.read("0" * 64, str(tmp_path / "out"))
    assert not os.path.exists(tmp_path / "out")


def test_an_output_is_never_overwritten(filled, tmp_path):
    made, keys = filled
    (tmp_path / "precious").write_bytes(b"precious")
    with pytest.raises(DrystoneError):
        made.client.read(keys["plain.txt"], str(tmp_path / "precious"))
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", ".tmp"])
def test_bad_names_never_reach_the_engine(name):
    client = Client("/nonexistent/engine.sock")
    with pytest.raises(UsageError):
        client.batch(name)
    with pytest.raises(UsageError):
        client.unpublish("exports", "id", name)
    with pytest.raises(UsageError):
        client.batch_write("/usr", name)
    with pytest.raises(UsageError):
        client.export_to_3d("m.jsonl", name, "layout")


@pytest.mark.parametrize("key", ["", "abc", "g" * 64, "0" * 63, "0" * 64 + "\n"])
def test_bad_keys_never_reach_the_engine(key):
    with pytest.raises(UsageError, match="64 hexadecimal"):
        Client("/nonexistent/engine.sock").head(key)


def test_keys_are_taken_in_capitals():
    assert check_key("AB" * 32) == "ab" * 32


def test_copy_and_view(filled, tmp_path):
    made, keys = filled
    entries = [{"path": f"x/{path}", "key": key} for path, key in keys.items()]
    manifest = write_manifest(
        str(tmp_path / "m.jsonl"), *entries, {"path": "x/side.json", "text": "{}"}
    )
    answer = made.client.export_to_3d(manifest, "set", "plain", "copy")
    assert answer.expected_files == len(HOSTILE) + 1
    seen = []
    job = made.client.wait(answer.job_id, seen.append)
    assert (job.state, seen[-1]) == ("done", job)
    for path, data in HOSTILE.items():
        assert read_file(os.path.join(answer.target_root, "x", path)) == data
    assert read_file(os.path.join(answer.target_root, "x", "side.json")) == b"{}"
    assert os.path.exists(os.path.join(answer.target_root, "_SEALED"))

    answer = made.client.stage_to_3c(manifest, "work", "plain", "view")
    assert made.client.wait(answer.job_id).state == "done"
    (view,) = made.client.views()
    assert (view.kind, view.view_id, view.layout_id) == ("stage", "work", "plain")
    made.client.unpublish("stage", "work", "plain")
    assert made.client.views() == []


def test_a_bad_manifest_is_refused_whole(filled, tmp_path):
    made, keys = filled
    manifest = write_manifest(
        str(tmp_path / "bad.jsonl"),
        {"path": "good", "key": keys["plain.txt"]},
        {"path": "../bad", "key": keys["plain.txt"]},
        {"path": "/bad", "key": keys["plain.txt"]},
    )
    with pytest.raises(ManifestError) as caught:
        made.client.export_to_3d(manifest, "set", "bad", "copy")
    assert len(caught.value.problems) == 2
    assert "line 2" in str(caught.value) and "line 3" in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_key_is_refused_before_it_begins(filled, tmp_path):
    made, keys = filled
    manifest = write_manifest(
        str(tmp_path / "unknown.jsonl"),
        {"path": "good", "key": keys["plain.txt"]},
        {"path": "bad", "key": "0" * 64},
    )
    with pytest.raises(DrystoneError, match=r"0{64}"):
        made.client.export_to_3d(manifest, "set", "unknown", "copy")


def test_health_capacity_warnings_disks(filled):
    made, _ = filled
    health = made.client.health()
    assert (health.state, health.batches) == ("ok", 1)
    assert health.objects >= len(set(HOSTILE.values()))
    capacity = made.client.capacity()
    assert capacity.usable_bytes > capacity.usable_after_loss_bytes > 0
    assert {area.area for area in capacity.areas} == {"3a", "3b", "3c", "3d"}
    assert [disk.name for disk in made.client.disks()] == ["d1", "d2", "d3"]
    # Folders of one device: a try-out, and it says so.
    assert made.client.warnings() == list(health.warnings) != []


def test_care_jobs_end_well(filled):
    client = filled[0].client
    for start in (client.verify, client.rebuild, client.fsck, client.reindex):
        started = start()
        job = client.wait(started.job_id)
        assert (job.job_id, job.state, job.error) == (started.job_id, "done", None)
        assert list(client.report(job.job_id)) == []
    assert len(client.jobs()) >= 5
    assert client.cancel(job.job_id).state == "done"


def test_a_disk_is_added(filled, short_tmp):
    client = filled[0].client
    path = os.path.join(short_tmp, "one-more")
    os.mkdir(path)
    disk = client.disk_add(path, "extra")
    assert (disk.name, disk.path, disk.state) == ("extra", path, "online")
    assert "extra" in [disk.name for disk in client.disks()]


def test_shutdown_is_answered(store):
    made = store()
    made.client.shutdown()
    made.stop()
    with pytest.raises(EngineUnavailableError):
        made.client.health()


# ---- Pure parts of the transport -------------------------------------------------------------


def test_lines_are_joined_over_chunks():
    chunks = [b'{"a"', b": 1}\n{", b'"b": "\xe2\x80\xa8"}\n\n', b'{"c": 3}']
    lines = list(split_lines(chunks))
    assert [json.loads(line) for line in lines] == [{"a": 1}, {"b": "\u2028"}, {"c": 3}]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"code": "not_found", "detail": "no"}', NotFoundError, "no"),
        (b'{"code": "path", "detail": "odd"}', FsdError, "odd"),
        (b"<html>\x1b[31m", FsdError, "the engine answered 502: '<html>\\x1b[31m'"),
    ],
)
def test_refusals_become_errors(body, kind, message):
    error = Client("nowhere").error_of(502, body)
    assert (type(error), str(error)) == (kind, message)
