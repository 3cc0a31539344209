"""Output folders of the stage: room is reserved, counted once, kept over restarts, given back."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path

import pytest
from store_harness import MIB, Store, with_quota

from base.errors import UsageError
from fsd.documents.models import Notice, OutboxRoomRequest, StageOutputRequest
from fsd.engine.outbox_room import OutboxRoom
from fsd.engine.stage_output import StageOutputs
from fsd.export.stage_trash import RELEASED_PREFIX
from fsd.format.errors import QuotaError
from fsd.store.ssd.areas import Areas


def request(size_bytes: int, layout_id: str = "plain-0") -> StageOutputRequest:
    return StageOutputRequest(target_id="7", layout_id=layout_id, size_bytes=size_bytes)


def held(areas: Areas) -> int:
    return next(usage.reserved_bytes for usage in areas.usage() if usage.area == "3c")


def test_what_is_written_counts_against_the_reservation(tmp_path: Path):
    areas = Areas(tmp_path, {"3c": 20 * MIB})
    outputs = StageOutputs(areas)
    outputs.open(request(8 * MIB))
    folder = outputs.folder("7", "plain-0")
    assert folder == tmp_path / "3c/7/plain-0.output"
    (folder / "out.bin").write_bytes(os.urandom(6 * MIB))
    areas.measure("3c")
    used = next(usage.used_bytes for usage in areas.usage() if usage.area == "3c")
    assert used >= 6 * MIB
    assert held(areas) < 3 * MIB
    assert outputs.open(request(8 * MIB)) == outputs.open(request(1))
    with pytest.raises(QuotaError, match=r"output of 7/plain-1 asks for 16,777,216 bytes"):
        outputs.open(request(16 * MIB, "plain-1"))
    assert not outputs.folder("7", "plain-1").exists()
    assert outputs.release("7", "plain-0")[1] == 1
    assert outputs.release("7", "plain-0")[1] == 0
    assert not (tmp_path / "3c/7").exists()


def test_a_restart_takes_reservations_up_again(tmp_path: Path):
    StageOutputs(Areas(tmp_path, {})).open(request(8 * MIB))
    records = tmp_path / "3c/.outputs"
    (records / "broken.json").write_text("{")
    left = tmp_path / "3c/.tmp" / (RELEASED_PREFIX + uuid.uuid4().hex)
    left.mkdir(parents=True)
    areas = Areas(tmp_path, {})
    outputs = StageOutputs(areas)
    assert held(areas) == 8 * MIB
    assert os.listdir(records) == ["7,plain-0.json"]
    outputs.trash.wait()
    assert not left.exists()
    outputs.release("7", "plain-0")
    outputs.trash.wait()
    assert (held(areas), os.listdir(records)) == (0, [])


def test_what_a_program_removed_itself_counts_no_longer_after_a_release(tmp_path: Path):
    """What a job wrote counts until a walk has met it, and there is nothing left to remove."""
    areas = Areas(tmp_path, {"3c": 20 * MIB})
    outputs = StageOutputs(areas)
    outputs.open(request(8 * MIB))
    inputs = areas.reserve("3c", "stage 7/plain-0", MIB, 1)
    areas.consume(inputs.id)
    areas.release(inputs.id)
    shutil.rmtree(outputs.folder("7", "plain-0"))
    assert held(areas) == 9 * MIB
    load, removed = outputs.release("7", "plain-0")
    assert load.finished.wait(60)
    assert (removed, held(areas)) == (0, 0)


@pytest.mark.parametrize(
    ("target_id", "layout_id"), [("..", "a"), ("a/b", "a"), ("1", "a.output"), ("1", "_SEALED")]
)
def test_hostile_names_are_refused(tmp_path: Path, target_id: str, layout_id: str):
    outputs = StageOutputs(Areas(tmp_path, {}))
    with pytest.raises(UsageError):
        outputs.open(StageOutputRequest(target_id=target_id, layout_id=layout_id, size_bytes=0))


def test_over_the_api(store, tmp_path: Path):
    made: Store = store()
    key = made.put(str(_filled(tmp_path / "in")), "b")["a.txt"]
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(json.dumps({"path": "x/a.txt", "key": key}) + "\n")
    output = made.client.stage_output("5", "lay", MIB)
    answer = made.client.stage_to_3c(str(manifest), "5", "lay")
    made.client.wait(answer.job_id)
    assert os.path.isfile(os.path.join(answer.target_root, "x/a.txt"))
    assert output.path == answer.target_root + ".output"
    job = made.client.wait(made.client.release_stage("5", "lay").job_id)
    assert (job.state, job.result["removed"]) == ("done", 2)
    assert not os.path.exists(os.path.dirname(answer.target_root))
    again = made.client.wait(made.client.release_stage("5", "lay").job_id)
    assert (again.state, again.result["removed"]) == ("done", 0)


def _filled(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"a")
    return folder


def test_the_outbox_is_warned_of_with_what_is_promised_and_areas_without_a_quota_are_told(store):
    made = store(started=False)
    with_quota(made.root, outbox_bytes=100 * MIB, exports_bytes=0)
    made.start()

    def notices() -> dict[str, Notice]:
        return {notice.code: notice for notice in made.client.warnings()}

    assert "3d: without a quota" in notices()["no-quota"].message
    assert "ssd-area" not in notices()
    made.client.reserve_outbox("cats-0001", 90 * MIB, 4)
    assert (notices()["ssd-area"].severity, notices()["ssd-area"].subject) == ("warning", "3b")
    # Again, it takes the place of the first; and one that finds no room holds none.
    made.client.reserve_outbox("cats-0001", 96 * MIB, 4)
    assert notices()["ssd-area"].severity == "critical"
    assert "(emergency)" in notices()["ssd-area"].message
    with pytest.raises(QuotaError, match="package cats-0002 asks for"):
        made.client.reserve_outbox("cats-0002", 8 * MIB, 4)
    with pytest.raises(UsageError):
        made.client.reserve_outbox("../cats", MIB, 4)
    for package in ("cats-0001", "cats-0001", "cats-0002"):
        made.client.release_outbox(package)
    assert "ssd-area" not in notices()


def test_a_package_that_is_being_written_is_counted_once(tmp_path: Path):
    areas = Areas(tmp_path, {"3b": 20 * MIB})
    room = OutboxRoom(areas)
    room.reserve(OutboxRoomRequest(package="cats-0001", size_bytes=12 * MIB, files=4))
    (tmp_path / "3b/cats-0001.tmp").mkdir()
    (tmp_path / "3b/cats-0001.tmp/objects.tar").write_bytes(os.urandom(10 * MIB))
    room.reserve(OutboxRoomRequest(package="cats-0002", size_bytes=7 * MIB, files=4))
    os.rename(tmp_path / "3b/cats-0001.tmp", tmp_path / "3b/cats-0001")
    room.release("cats-0001")
    (outbox,) = [usage for usage in areas.usage() if usage.area == "3b"]
    assert 10 * MIB <= outbox.used_bytes < 11 * MIB
    assert outbox.reserved_bytes == 7 * MIB
