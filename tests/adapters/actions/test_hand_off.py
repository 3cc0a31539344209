"""The hand-off: what canned outputs become, compared with what a person worked out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hand_off_harness import Bench, contract, make_bench, png, running_store
from ingest_harness import House
from store_harness import Store

from adapters.actions.contract.registry import declare_contract
from adapters.actions.contract.stage_model import LeftOut
from adapters.actions.outputs.events import begin_event, end_event
from adapters.actions.outputs.replay_outputs import replay_outputs
from base.errors import UsageError
from sql import Database


@pytest.fixture(scope="module")
def shared_store() -> Iterator[Store]:
    with running_store() as store:
        yield store


@pytest.fixture
def house(shared_store: Store, database: Database) -> House:
    return House(shared_store, database)


@pytest.fixture
def bench(house: House, tmp_path) -> Bench:
    return make_bench(house, str(tmp_path))


def good(bench: Bench) -> dict[str, bytes]:
    """A tree in which every input has two crops and one thing found."""
    files = {"crops/run.log": b"hello"}
    lines = ["file,thing,score"]
    for number, item in enumerate(bench.inputs):
        files[f"crops/{item.node_id}_0.png"] = png(10 * number)
        files[f"crops/{item.node_id}_1.png"] = png(10 * number + 1)
        lines.append(f"{item.path},cat,{number / 4}")
    files["found.csv"] = "\n".join(lines).encode() + b"\n"
    return files


def test_a_good_tree(bench: Bench):
    bench.write(good(bench))
    report = bench.take()
    assert (report.state, report.done, report.inputs) == ("done", 4, 4)
    assert (report.children, report.results, report.nodes_new, report.edges_new) == (8, 4, 8, 8)
    assert (report.ignored, report.quarantined, report.problems) == (1, 0, ())
    first = bench.inputs[0]
    assert bench.results() == [
        (item.node_id, "cat", number / 4) for number, item in enumerate(bench.inputs)
    ]
    children = bench.house.rows(
        "SELECT encode(child.sha256, 'hex'), position, title, is_raw, is_root, description, "
        "action_id, action_version, child.depth "
        "FROM edge JOIN node AS child ON child.node_id = child_node_id "
        "JOIN common_metadata USING (node_id) JOIN relationship USING (relationship_id) "
        f"JOIN meta_generated USING (node_id) WHERE parent_node_id = {first.node_id} ORDER BY 2"
    )
    assert children == [
        (
            hashlib.sha256(png(number)).hexdigest(), number,
            f"crop {number} of {first.key}, margin 2", False, False, "crop of", 700, 1, 1,
        )
        for number in (0, 1)
    ]  # fmt: skip
    head = bench.client.head(children[0][0])
    assert (head.class_name, head.copies) == ("generated", 2)
    assert end_event(bench.house.database, bench.event) == "done"


def test_taking_twice_changes_nothing(bench: Bench):
    bench.write({**good(bench), "wrong.bin": b"x"})
    first = bench.take()
    before = bench.contents()
    again = bench.take()
    assert again.repeated and (again.state, again.done) == (first.state, first.done)
    assert bench.contents() == before
    # Outputs that were written anew, after they were taken, say nothing any more.
    bench.write({f"crops/{bench.inputs[0].node_id}_7.png": png(77)})
    assert bench.take().repeated
    assert bench.contents() == before


def test_a_partial_tree(bench: Bench):
    first, second, third, _ = bench.inputs
    bench.write(
        {
            f"crops/{first.node_id}_0.png": png(1),
            "found.csv": f"file,thing,score\n{first.path},cat,1\n{second.path},dog,\n".encode(),
        }
    )
    staged = bench.staged(left_out=(LeftOut(third.node_id, "black-listed"),))
    staged = staged.model_copy(
        update={"files": tuple(item for item in bench.inputs if item != third)}
    )
    report = bench.take(staged=staged, exit_state="partial")
    assert (report.state, report.done, report.missing, report.failed) == ("partial", 2, 2, 0)
    assert set(report.missing_inputs) == {third.node_id, bench.inputs[3].node_id}
    assert bench.results() == [(first.node_id, "cat", 1.0), (second.node_id, "dog", None)]
    assert end_event(bench.house.database, bench.event) == "partial"


WRONG = {
    "crops/{1}_0.png": png(1)[:-20],
    "crops/{2}_0.png": b"GIF89a, or so it says",
    "crops/99999_0.png": png(2),
    "crops/{3}_x.png": png(3),
    "crops/{3}_1.png": b"",
    "stray.exe": b"MZ",
}


def test_a_wrong_tree(bench: Bench):
    ids = {f"{{{number}}}": str(item.node_id) for number, item in enumerate(bench.inputs, 1)}
    files = {}
    for path, data in WRONG.items():
        for name, node_id in ids.items():
            path = path.replace(name, node_id)
        files[path] = data
    first, second, third, fourth = bench.inputs
    files["found.csv"] = (
        f"file,thing,score\n{first.path},cat,1\n{first.path},cat,1\n{second.path},cat,often\n"
        f"in/unknown.png,cat,1\n{third.path},cat\n"
    ).encode() + f"{fourth.path},caf\xe9,1\n".encode("latin-1")
    bench.write(files)
    outside = os.path.join(bench.folder, "secret.png")
    with open(outside, "wb") as file:
        file.write(png(666))
    os.symlink(outside, os.path.join(bench.output, f"crops/{first.node_id}_5.png"))
    os.mkfifo(os.path.join(bench.output, "found.fifo"))
    os.symlink("/etc", os.path.join(bench.output, "etc"))
    report = bench.take()
    reasons = {(path, number): reason for path, number, reason in bench.quarantine()}
    one, two, three = (item.node_id for item in (first, second, third))
    assert reasons == {
        (f"crops/{one}_0.png", -1): "is not finished: a png without its end",
        (f"crops/{two}_0.png", -1): "is not finished: a gif without its end",
        ("crops/99999_0.png", -1): "input is '99999', which is the node_id of no input",
        (f"crops/{three}_x.png", -1): "no output of the contract means this file",
        (f"crops/{three}_1.png", -1): "the file is empty",
        (f"crops/{one}_5.png", -1): "a symbolic link, not a file",
        ("stray.exe", -1): "no output of the contract means this file",
        ("found.fifo", -1): "a FIFO, not a file",
        ("etc", -1): "a symbolic link, not a file",
        ("found.csv", 1): "the same row about the same input was read before",
        ("found.csv", 2): "score is 'often': must be a number",
        ("found.csv", 3): "file is 'in/unknown.png', which is the path of no input",
        ("found.csv", 4): "2 fields where the header has 3",
        ("found.csv", 5): "is no UTF-8",
    }
    assert (report.state, report.children, report.quarantined) == ("failed", 0, 14)
    # The good row about an input whose crop was refused is there all the same.
    assert bench.results() == [(one, "cat", 1.0)]
    assert bench.outcomes() == {
        one: "failed", two: "failed", three: "failed", fourth.node_id: "missing",
    }  # fmt: skip
    kept = {row.path: row for row in bench.house.database.quarantine.of_actions(bench.event)}
    assert kept["stray.exe"].key == hashlib.sha256(b"MZ").hexdigest()
    assert kept["etc"].key is None
    assert bench.client.head(kept["stray.exe"].key or "").copies == 2


def test_a_program_that_failed_gives_nothing(bench: Bench):
    bench.write(good(bench))
    report = bench.take(exit_state="failed", reason="exit code 3")
    assert (report.state, report.failed, report.reason) == ("failed", 4, "exit code 3")
    assert bench.results() == [] and set(bench.outcomes().values()) == {"failed"}
    # Run again, now well.
    assert bench.take().state == "done"
    assert set(bench.outcomes().values()) == {"done"}


def test_ten_times_the_children_are_refused_as_a_whole(bench: Bench):
    ids = [item.node_id for item in bench.inputs]
    bench.write({f"crops/{ids[number % 4]}_{number}.png": png(number) for number in range(41)})
    report = bench.take()
    assert report.state == "failed" and "41 children of 4 inputs" in report.reason
    assert bench.quarantine()[0][0] == "."
    assert bench.house.rows("SELECT count(*) FROM node") == [(4,)]
    os.unlink(os.path.join(bench.output, f"crops/{ids[0]}_40.png"))
    assert bench.take().children == 40


def test_children_may_not_be_ten_times_as_large(bench: Bench):
    item = bench.inputs[0]
    limit = 10 * sum(item.size_bytes for item in bench.inputs)
    bench.write({f"crops/{item.node_id}_0.png": png(0)[:-12] + b"\0" * limit + png(0)[-12:]})
    report = bench.take()
    assert report.state == "failed" and "child_limits.bytes_scale" in report.reason


def test_an_input_whose_own_children_are_too_large_fails_alone(bench: Bench):
    small, other = bench.inputs[:2]
    swollen = png(0)[:-12] + b"\0" * (10 * small.size_bytes) + png(0)[-12:]
    rows = "".join(f"{item.path},cat,0.5\n" for item in bench.inputs)
    bench.write(
        {
            f"crops/{small.node_id}_0.png": png(1),
            f"crops/{small.node_id}_1.png": swollen,
            f"crops/{other.node_id}_0.png": png(2),
            "found.csv": f"file,thing,score\n{rows}".encode(),
        }
    )
    report = bench.take()
    assert (report.state, report.children, report.failed_inputs) == ("partial", 1, (small.node_id,))
    assert [node_id for node_id, _, _ in bench.results()] == [
        item.node_id for item in bench.inputs[1:]
    ]
    [(path, number, reason)] = bench.quarantine()
    assert (path, number) == (f"crops/{small.node_id}_0.png", -1)
    assert "is allowed for this input (child_limits.bytes_scale)" in reason
    # No replay gets past the limit by reading a part of its children.
    replayed = replay_outputs(
        bench.client, bench.house.database, bench.loaded, bench.event, bench.house.area("3c")
    )
    assert (replayed.open, replayed.children) == (1, 0)
    before = bench.contents()
    assert bench.take().repeated
    assert bench.contents() == before


def test_the_count_of_children_is_the_installations(bench: Bench):
    bench.loaded = replace(bench.loaded, count_cap=1)
    item = bench.inputs[0]
    bench.write({f"crops/{item.node_id}_{number}.png": png(number) for number in range(5)})
    report = bench.take()
    assert report.state == "failed"
    assert "drystone.toml allows 4 (child_limits.count_scale" in report.reason


def test_a_contract_that_changed_meanwhile_is_refused(bench: Bench):
    bench.write(good(bench))
    bench.loaded = contract(description="Another one")
    with pytest.raises(UsageError, match=r"the contract of crop changed"):
        bench.take()
    bench.loaded = contract()
    with pytest.raises(UsageError, match=r"began with the parameters"):
        bench.take(parameters={"margin": 3})


def test_a_later_version_supersedes_the_results(bench: Bench):
    bench.write(good(bench))
    bench.take()
    database = bench.house.database
    bench.loaded = contract(version=2)
    declare_contract(database, bench.loaded)
    bench.event = begin_event(
        database, bench.loaded, bench.batch, run_id=2, parameters=bench.parameters
    )
    first = bench.inputs[0]
    os.unlink(os.path.join(bench.output, "found.csv"))
    bench.write({"found.csv": f"file,thing,score\n{first.path},tiger,0.5\n".encode()})
    report = bench.take()
    # The crops are the same nodes; of the others, whose thing is gone, nothing is left to say.
    assert (report.nodes_new, report.edges_new, report.superseded) == (0, 0, 4)
    assert bench.results() == [(first.node_id, "tiger", 0.5)]
    former = "SELECT document::json ->> 'thing' FROM superseded_result WHERE node_id = {}"
    assert bench.house.rows(former.format(first.node_id)) == [("cat",)]


def test_a_child_with_the_bytes_of_its_input_is_no_child(bench: Bench):
    item = bench.inputs[0]
    with open(os.path.join(bench.folder, "scrape", "0.png"), "rb") as file:
        data = file.read()
    assert hashlib.sha256(data).hexdigest() in {other.key for other in bench.inputs}
    same = next(i for i in bench.inputs if i.key == hashlib.sha256(data).hexdigest())
    bench.write({f"crops/{same.node_id}_0.png": data})
    assert bench.take().done == 1
    assert bench.house.rows("SELECT count(*) FROM edge") == [(0,)]
    assert item.node_id in bench.outcomes()


def test_a_large_part_is_several_intents(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adapters.actions.outputs.hand_off_intent.INTENT_ROWS_MAX", 3)
    bench.write(good(bench))
    report = bench.take()
    assert (report.state, report.children, report.results, report.edges_new) == ("done", 8, 4, 8)
    intents = bench.house.rows("SELECT intent_id FROM write_intent WHERE intent_id LIKE 'action:%'")
    assert len(intents) == 4 and (f"action:{bench.event}:0",) in intents
    before = bench.contents()
    assert bench.take().repeated and bench.contents() == before
