"""What was set aside is read again; and the hand-off is killed at any barrier."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from command import ROOT, drystone
from hand_off_harness import Bench, contract, make_bench, png, running_store
from ingest_harness import House
from store_harness import Store, write_files

from adapters.actions.contract.registry import declare_contract
from adapters.actions.outputs.parse_outputs import parse_outputs
from adapters.actions.outputs.replay_outputs import replay_outputs
from adapters.actions.outputs.tree import OWN_NAME
from base.errors import UsageError
from sql import Database


@pytest.fixture(scope="module")
def shared_store() -> Iterator[Store]:
    with running_store() as store:
        yield store


@pytest.fixture
def bench(shared_store: Store, database: Database, tmp_path) -> Bench:
    return make_bench(House(shared_store, database), str(tmp_path))


def repaired(bench: Bench):
    """Return the next version, which reads JPEG names too, and another column."""
    document = bench.loaded.contract.model_dump(mode="json", exclude_defaults=True)
    crops, found = document["output_parser"]["outputs"]
    crops["regex"] = r"(crops|odd)/(?P<input>\d+)_(?P<number>\d+)\.png"
    crops["glob"] = "*/*.png"
    found["results"]["score"] = "certainty"
    return contract(version=2, output_parser=document["output_parser"])


def test_a_replay_takes_what_was_set_aside_and_nothing_twice(bench: Bench):
    first, second, third, fourth = bench.inputs
    rows = [f"file,thing,score,certainty\n{first.path},cat,much,0.5\n{second.path},dog,1,2\n"]
    bench.write(
        {
            "found.csv": "".join(rows).encode(),
            f"odd/{third.node_id}_0.png": png(3),
            f"odd/{fourth.node_id}_0.png": png(4)[:-20],
        }
    )
    assert bench.take().quarantined == 3
    assert bench.results() == [(second.node_id, "dog", 1.0)]
    for path in ("found.csv", f"odd/{third.node_id}_0.png", f"odd/{fourth.node_id}_0.png"):
        os.unlink(os.path.join(bench.output, path))
    database, work_folder = bench.house.database, bench.house.area("3c")
    bench.loaded = repaired(bench)
    declare_contract(database, bench.loaded)
    report = replay_outputs(bench.client, database, bench.loaded, bench.event, work_folder)
    assert (report.read, report.understood, report.open) == (3, 2, 1)
    assert (report.results, report.children) == (1, 1)
    # The row about the dog, which was good before, is not there a second time.
    assert bench.results() == [(first.node_id, "cat", 0.5), (second.node_id, "dog", 1.0)]
    assert bench.outcomes() == {
        first.node_id: "done", second.node_id: "done", third.node_id: "done",
        fourth.node_id: "missing",
    }  # fmt: skip
    before = bench.contents()
    again = replay_outputs(bench.client, database, bench.loaded, bench.event, work_folder)
    assert (again.read, again.understood, again.open) == (1, 0, 1)
    assert bench.contents() == before
    assert not [name for name in os.listdir(work_folder) if name.startswith(".replay")]
    with pytest.raises(UsageError, match="is of crop"):
        other = contract(action_id=701, name="other")
        replay_outputs(bench.client, database, other, bench.event, work_folder)


def test_a_file_that_can_be_read_now_opens_its_bad_records(bench: Bench):
    first, second, *_ = bench.inputs
    bench.write(
        {"other.csv": f"file,thing,score\n{first.path},cat,1\n{second.path},dog\n".encode()}
    )
    bench.take()
    document = bench.loaded.contract.model_dump(mode="json", exclude_defaults=True)
    document["output_parser"]["outputs"][1]["glob"] = "*.csv"
    fixed = contract(version=2, output_parser=document["output_parser"])
    arguments = (bench.client, bench.house.database, fixed, bench.event, bench.house.area("3c"))
    assert replay_outputs(*arguments).open == 1
    assert [(path, number) for path, number, _ in bench.quarantine()] == [("other.csv", 1)]
    assert bench.results() == [(first.node_id, "cat", 1.0)]
    assert replay_outputs(*arguments).open == 1
    assert bench.results() == [(first.node_id, "cat", 1.0)]


def killed(bench: Bench, dsn: str, place: str, call: int) -> int:
    """Take the outputs in a process that kills itself at the call; returns its exit code."""
    given = {
        "config": bench.house.config_path, "staged": bench.staged().to_json(),
        "event": bench.event, "place": place, "call": call, "dsn": dsn,
    }  # fmt: skip
    program = os.path.join(ROOT, "tests", "kit", "adapters", "hand_off_killed.py")
    folders = [
        ROOT,
        *(f"{ROOT}/tests/kit/{name}" for name in ("adapters", "database", "run", "store")),
    ]
    result = subprocess.run(
        [sys.executable, program],
        input=json.dumps(given).encode(),
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    )
    assert result.returncode in (0, -signal.SIGKILL), result.stderr.decode()
    return result.returncode


# Before and after what is durable; "wait" comes twice, for children and for what was set aside.
BARRIERS = (
    ("batch_write", 0), ("wait", 1), ("batch_write", 3), ("declare", 0), ("apply", 0), ("apply", 1),
    ("set_aside", 1), ("outcomes", 0),
)  # fmt: skip


def test_killed_at_every_barrier(bench: Bench, database_url: str):
    first, second, third, _ = bench.inputs
    bench.write(
        {
            f"crops/{first.node_id}_0.png": png(1),
            f"crops/{second.node_id}_0.png": png(2)[:-20],
            "found.csv": f"file,thing,score\n{first.path},cat,1\n{third.path},cat\n".encode(),
        }
    )
    # Each kill goes on from what the former one left; the last call of each place ends well.
    for place, call in BARRIERS:
        assert killed(bench, database_url, place, call) == -signal.SIGKILL, (place, call)
    assert killed(bench, database_url, "outcomes", 9) == 0
    now = bench.contents()
    assert bench.take().repeated
    assert bench.contents() == now
    assert bench.results() == [(first.node_id, "cat", 1.0)]
    assert sorted(bench.outcomes().values()) == ["done", "failed", "missing", "missing"]
    assert len(bench.quarantine()) == 2
    assert bench.house.rows("SELECT count(*) FROM edge") == [(1,)]


@pytest.mark.parametrize("left", ["whole", "begun", "empty"])
def test_a_list_of_inputs_that_a_killed_attempt_left_is_not_set_aside(bench, database_url, left):
    stray = {"stray.bin": b"x"}
    bench.write(stray)
    # Before the store is asked for it, or after.
    call = 1 if left == "whole" else 0
    assert killed(bench, database_url, "batch_write", call) == -signal.SIGKILL
    listed = os.path.join(bench.output, OWN_NAME)
    size = {"whole": os.path.getsize(listed), "begun": 20, "empty": 0}[left]
    os.truncate(listed, size)
    assert bench.take().quarantined == 1
    assert [path for path, _, _ in bench.quarantine()] == ["stray.bin"]
    assert os.listdir(bench.output) == list(stray)


@pytest.mark.parametrize("content", [b"mine", b"[1, 2]\n", "fifo", "folder"])
def test_a_file_of_the_program_with_the_name_of_that_list_is_told(bench, database_url, content):
    path = os.path.join(bench.output, OWN_NAME)
    aside = OWN_NAME + ".of-the-program"
    if content == "fifo":
        os.mkfifo(path)
    elif content == "folder":
        write_files(path, {"inside": b"x"})
        aside += "/inside"
    else:
        bench.write({OWN_NAME: content})
    bench.write({"stray.bin": b"x"})
    descriptors = len(os.listdir("/proc/self/fd"))
    parse_outputs(bench.loaded.contract, bench.inputs, bench.folder, bench.output, ())
    assert len(os.listdir("/proc/self/fd")) == descriptors
    # An attempt that is killed has put it aside, where the next one finds it.
    assert killed(bench, database_url, "batch_write", 1) == -signal.SIGKILL
    bench.take()
    assert sorted(path for path, _, _ in bench.quarantine()) == [aside, "stray.bin"]


def test_what_the_program_wrote_under_both_names_is_kept(bench):
    files = {OWN_NAME: b"mine", OWN_NAME + ".of-the-program": b"too", "stray.bin": b"x"}
    bench.write(files)
    bench.take()
    assert sorted(path for path, _, _ in bench.quarantine()) == sorted(files)
    kept = sorted(bench.house.rows("SELECT sha256 IS NOT NULL FROM quarantine"))
    assert kept == [(False,), (True,), (True,)]


def test_the_commands(house: House, tmp_path):
    """A person repairs the contract (in a folder of drystone.toml) and replays."""
    bench = make_bench(house, str(tmp_path))
    third = bench.inputs[2].node_id
    bench.write({f"odd/{third}_0.png": png(3), "stray\n.bin": b"x"})
    bench.take()
    document = repaired(bench).contract.model_dump(mode="json", exclude_defaults=True)
    write_files(str(tmp_path / "mine" / "crop"), {"contract.yaml": json.dumps(document).encode()})
    config = bench.house.config_path
    with open(config, "a", encoding="utf-8") as file:
        file.write(f"\n[actions]\nfolders = [{json.dumps(str(tmp_path / 'mine'))}]\n")
    command = ("action", "quarantine")
    listed = json.loads(drystone(*command, "list", "--json", "--config", config).stdout)
    assert [row["path"] for row in listed] == [f"odd/{third}_0.png", "stray\\n.bin"]
    done = drystone(*command, "replay", str(bench.event), "--config", config, expect=3)
    assert b"1 of 2 rows understood: 0 results, 1 children; 1 are still open" in done.stderr
    text = drystone(*command, "list", "--action", "crop", "--config", config).stdout
    assert b"no output of the contract means this file" in text and b"odd/" not in text
