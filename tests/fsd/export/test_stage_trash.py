"""What was released goes in the background: counted until it is gone, and gone whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command import ROOT
from engine_processes import kill_engine
from store_harness import MIB, Store, write_files

from fsd.disks.seal import begin
from fsd.documents.models import StageOutputRequest
from fsd.engine.stage_output import StageOutputs
from fsd.export.stage_trash import RELEASED_PREFIX, Trash
from fsd.format.errors import QuotaError
from fsd.store.ssd.areas import Areas

WAIT_S = 60.0
FILES = 600
SIZE_BYTES = 20_000
DEPTH = 1_100
KILLED = """
import os, signal, sys
from pathlib import Path
from fsd.store.ssd.areas import Areas
from fsd.engine.stage_output import StageOutputs
outputs = StageOutputs(Areas(Path(sys.argv[1]), {}))
assert outputs.release("7", "plain-0")[1] == 2
os.kill(os.getpid(), signal.SIGKILL)
"""


def request(size_bytes: int, layout_id: str = "plain-0") -> StageOutputRequest:
    return StageOutputRequest(target_id="7", layout_id=layout_id, size_bytes=size_bytes)


def fill(folder: Path, files: int = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        (folder / str(number)).write_bytes(b"x" * SIZE_BYTES)
    return folder


def usage(areas: Areas) -> tuple[int, int]:
    areas.measure("3c")
    found = next(one for one in areas.usage() if one.area == "3c")
    return found.used_bytes, found.reserved_bytes


def gone(outputs: StageOutputs) -> bool:
    outputs.trash.wait(WAIT_S)
    return not os.listdir(outputs.folder("7", "x").parent.parent / ".tmp")


def test_who_finds_no_room_waits_for_what_was_released(tmp_path: Path):
    areas = Areas(tmp_path, {"3c": 20 * MIB})
    outputs = StageOutputs(areas)
    outputs.open(request(12 * MIB))
    fill(outputs.folder("7", "plain-0"))
    areas.measure("3c")
    # Neither refused nor too early: the bytes of the one are gone before the other may begin.
    assert outputs.release("7", "plain-0")[1] == 1
    held = outputs.open(request(16 * MIB))
    assert gone(outputs)
    assert outputs.folder("7", "plain-0").is_dir()
    assert 15 * MIB < usage(areas)[1] <= 16 * MIB
    areas.release(held.id)
    assert outputs.release("7", "plain-0")[1] == 1
    assert areas.reserve("3c", "a stage", 16 * MIB, 1).size_bytes == 16 * MIB
    with pytest.raises(QuotaError):
        areas.reserve("3c", "another", 16 * MIB, 1)


def test_a_killed_engine_leaves_no_hidden_bytes(tmp_path: Path):
    outputs = StageOutputs(Areas(tmp_path, {}))
    outputs.open(request(MIB))
    fill(outputs.folder("7", "plain-0"))
    fill(tmp_path / "3c/7/plain-0/in/deep")
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    # Out of sight at once, whole or not, and counted as long as any of it is there.
    assert os.listdir(tmp_path / "3c") in ([".tmp", ".outputs"], [".outputs", ".tmp"])
    left = os.listdir(tmp_path / "3c/.tmp")
    assert left and all(name.startswith(RELEASED_PREFIX) for name in left)
    areas = Areas(tmp_path, {"3c": 200 * MIB})
    lying = sum(len(files) for _, _, files in os.walk(tmp_path / "3c/.tmp"))
    assert usage(areas)[0] >= SIZE_BYTES * lying
    after = StageOutputs(areas)
    assert gone(after)
    assert usage(areas) == (usage(Areas(tmp_path, {}))[0], 0)
    assert usage(areas)[0] < MIB
    # The same stage may be made again.
    after.open(request(MIB))
    assert after.release("7", "plain-0")[1] == 1
    assert gone(after)


def test_the_same_stage_again_while_the_former_one_goes(tmp_path: Path):
    areas = Areas(tmp_path, {"3c": 100 * MIB})
    outputs = StageOutputs(areas)
    for number in range(2):
        outputs.open(request(8 * MIB))
        fill(outputs.folder("7", "plain-0"))
        fill(tmp_path / "3c/7/plain-0", 10)
        assert outputs.release("7", "plain-0")[1] == 2, number
    assert outputs.open(request(8 * MIB)) == outputs.open(request(MIB))
    (outputs.folder("7", "plain-0") / "kept").write_bytes(b"new")
    assert gone(outputs)
    assert os.listdir(outputs.folder("7", "plain-0")) == ["kept"]
    used_bytes, reserved_bytes = usage(areas)
    assert used_bytes < MIB
    assert 7 * MIB < reserved_bytes <= 8 * MIB


def test_no_depth_is_too_deep_and_no_link_is_followed(tmp_path: Path):
    kept = fill(tmp_path / "kept", 3)
    place = tmp_path / "3c/7/deep"
    place.mkdir(parents=True)
    os.symlink(kept, place / "link")
    here = os.open(place, os.O_RDONLY)
    for _ in range(DEPTH):  # Deeper than a path may be long.
        os.mkdir("folder-of-a-program", dir_fd=here)
        below = os.open("folder-of-a-program", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    os.symlink(kept, tmp_path / "3c/7/link")
    trash = Trash(tmp_path / "3c/.tmp", pytest.fail)
    places = [place, tmp_path / "3c/7/link", tmp_path / "3c/7/absent"]
    assert trash.take(places).there == places[:2]
    assert not place.exists()
    trash.wait(WAIT_S)
    assert os.listdir(tmp_path / "3c/.tmp") == []
    assert len(os.listdir(kept)) == 3


def test_the_wait_is_for_all_that_was_taken_before(tmp_path: Path):
    trash = Trash(tmp_path / ".tmp", pytest.fail)
    assert not trash.wait()
    may_end, told = threading.Event(), []
    trash.take([fill(tmp_path / "one", 2)], lambda: told.append(may_end.wait(WAIT_S)))
    trash.take([fill(tmp_path / "two", 2)], lambda: told.append(False))
    assert trash.wait(0.01)
    assert told == []
    may_end.set()
    assert trash.wait(WAIT_S)
    assert told == [True, False]
    assert not trash.wait()


def test_what_cannot_be_removed_is_told_once_and_tried_again(tmp_path: Path):
    stuck = fill(tmp_path / "stuck", 1)
    attribute = ["chattr", "+i", str(stuck / "0")]
    if os.geteuid() or subprocess.run(attribute, capture_output=True, check=False).returncode:
        pytest.skip("no immutable files here")
    problems: list[str] = []
    trash = Trash(tmp_path / ".tmp", problems.append)
    trash.take([stuck])
    trash.wait(WAIT_S)
    (left,) = os.listdir(tmp_path / ".tmp")
    trash.take([fill(tmp_path / "other", 1)])
    trash.wait(WAIT_S)
    assert os.listdir(tmp_path / ".tmp") == [left]
    assert [problem.partition(" was released")[0] for problem in problems] == [
        str(tmp_path / ".tmp" / left)
    ]
    subprocess.run(["chattr", "-i", str(tmp_path / ".tmp" / left / "0")], check=True)
    trash.take([fill(tmp_path / "third", 1)])
    trash.wait(WAIT_S)
    assert os.listdir(tmp_path / ".tmp") == []


@pytest.mark.parametrize("target_id", ["released-2024", "released-" + "0" * 32])
def test_a_copy_whose_id_looks_released_is_no_trash(tmp_path: Path, target_id: str):
    root = tmp_path / "3c"
    root.mkdir()
    begun = begin(root / target_id / "plain", root)
    fill(begun, 3)
    left = fill(root / ".tmp" / (RELEASED_PREFIX + "0" * 32), 3)
    outputs = StageOutputs(Areas(tmp_path, {}))
    outputs.trash.wait(WAIT_S)
    assert not left.exists()
    assert len(os.listdir(begun)) == 3


def test_an_engine_killed_after_a_release_ends_it_at_the_next_start(store, tmp_path: Path):
    made: Store = store()
    files = {f"{number}.txt": b"%d" % number for number in range(50)}
    keys = made.put(write_files(str(tmp_path / "in"), files), "b")
    manifest = tmp_path / "m.jsonl"
    lines = (json.dumps({"path": path, "key": key}) + "\n" for path, key in keys.items())
    manifest.write_text("".join(lines))
    for _ in range(2):
        made.client.stage_output("5", "lay", MIB)
        made.client.wait(made.client.stage_to_3c(str(manifest), "5", "lay").job_id)
        root = Path(made.config.area_path("3c"))
        assert len(os.listdir(root / "5/lay")) == 52
        job = made.client.wait(made.client.release_stage("5", "lay").job_id)
        assert (job.state, job.result["removed"]) == ("done", 2)
        kill_engine(made.config, group=True)
        fill(root / ".tmp" / (RELEASED_PREFIX + "0" * 32), 5)
        made.start()
        while os.listdir(root / ".tmp"):
            os.sched_yield()
        assert not (root / "5").exists()
    assert made.client.health().last_errors == ()
