"""A contract is tried over canned trees, which become what the hand-off makes of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import action_contracts
import pytest
from command import drystone, json_lines
from hand_off_harness import Bench, make_bench, png, running_store
from ingest_harness import House
from store_harness import Store, write_files

from adapters.actions import read_inputs, try_outputs
from adapters.actions.contract.stage_model import pack_inputs
from sql import Database, WriteIntent


@pytest.fixture(scope="module")
def shared_store() -> Iterator[Store]:
    with running_store() as store:
        yield store


@pytest.fixture
def bench(shared_store: Store, database: Database, tmp_path) -> Bench:
    return make_bench(House(shared_store, database), str(tmp_path))


def test_a_trial_is_what_the_hand_off_makes_of_it(bench: Bench):
    ids = [item.node_id for item in bench.inputs]
    rows = "".join(f"{item.path},cat,0.5\n" for item in bench.inputs[1:])
    bench.write(
        {
            f"crops/{ids[1]}_0.png": png(1),
            f"crops/{ids[2]}_0.png": png(2),
            "crops/nobody.png": png(3),
            "crops/run.log": b"hello",
            "found.csv": f"file,thing,score\n{rows}{bench.inputs[2].path},dog,much\n".encode(),
        }
    )
    before, tree = bench.contents(), sorted(os.walk(bench.folder))
    root = os.path.join(bench.folder, "input")
    tried = try_outputs(bench.loaded, bench.inputs, root, bench.output, bench.parameters)
    assert bench.contents() == before, "it writes nothing"
    assert sorted(os.walk(bench.folder)) == tree
    report = bench.take().model_dump(mode="json")
    assert {name: report[name] for name in tried.report} == {
        **tried.report,
        # Of these only a database knows.
        **{name: report[name] for name in ("nodes_new", "edges_new", "superseded", "cycles")},
    }
    assert {one["node_id"]: one["outcome"] for one in tried.outcomes} == bench.outcomes()
    assert [
        (one["node_id"], one["values"]["thing"], one["values"]["score"]) for one in tried.rows
    ] == bench.results()
    assert sorted((one["path"], one["record"]) for one in tried.set_aside) == sorted(
        (path, number if number >= 0 else None) for path, number, _ in bench.quarantine()
    )
    (document,) = tried.intents
    intent = WriteIntent.model_validate(document)
    stored = bench.house.rows(
        "SELECT encode(sha256, 'hex') FROM node JOIN meta_generated USING (node_id)"
    )
    assert {(node.key,) for node in intent.physical_nodes} == set(stored)
    assert len(intent.edges) == report["children"] == 2


def canned(tmp_path: Path) -> tuple[str, str, str]:
    """A contract, three inputs, and outputs: one good, one wrong, none for the third."""
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "contract.yaml").write_text(action_contracts.AC2)
    pictures = {f"{name}.png": png(number) for number, name in enumerate("abc")}
    inputs = write_files(str(tmp_path / "in"), pictures)
    said = {
        f"{name}.json": json.dumps(
            {"key": key_of(pictures[f"{name}.png"]), "width": width}
        ).encode()
        for name, width in (("a", 4), ("b", "many"))
    }
    return str(tmp_path / "c"), inputs, write_files(str(tmp_path / "out"), said)


def key_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def attempt(contract: str, inputs: str, outputs: str, *more: str, expect: int = 3) -> Any:
    """Run the command where no store is."""
    words = ("contract", "try", contract, "--inputs", inputs, "--outputs", outputs, *more)
    return drystone(*words, expect=expect, cwd=os.path.dirname(outputs))


def test_the_command_needs_no_store_and_writes_nothing(tmp_path: Path):
    contract, inputs, outputs = canned(tmp_path)
    before = sorted(os.walk(tmp_path))
    [told] = json_lines(attempt(contract, inputs, outputs, "--json"))
    assert [(one["node_id"], one["path"], one["outcome"]) for one in told["outcomes"]] == [
        (1, "a.png", "done"), (2, "b.png", "failed"), (3, "c.png", "missing"),
    ]  # fmt: skip
    assert told["rows"] == [{"node_id": 1, "values": {"width": 4}}]
    assert [one["path"] for one in told["set_aside"]] == ["b.json"]
    [intent] = told["intents"]
    assert [row["values"] for row in intent["results"]] == [{"width": 4}]
    shown = attempt(contract, inputs, outputs)
    assert b'"width": 4' in shown.stdout and b"write-intent, not applied:" in shown.stdout
    assert b"partial: 1 of 3 inputs done, 1 rows" in shown.stderr
    assert sorted(os.walk(tmp_path)) == before
    # All understood is 0, nothing is 1.
    os.unlink(os.path.join(inputs, "b.png"))
    os.unlink(os.path.join(inputs, "c.png"))
    os.unlink(os.path.join(outputs, "b.json"))
    attempt(contract, inputs, outputs, expect=0)
    os.unlink(os.path.join(outputs, "a.json"))
    attempt(contract, inputs, outputs, expect=1)


def test_lists_of_inputs_are_taken_in_every_form(tmp_path: Path):
    contract, inputs, outputs = canned(tmp_path)
    found, root = read_inputs(inputs)
    assert root == inputs
    assert [(one.node_id, one.path, one.extension, one.media_type) for one in found] == [
        (number, f"{name}.png", "png", "image") for number, name in enumerate("abc", 1)
    ]
    listed = tmp_path / "in" / "list.txt"
    listed.write_text("a.png\n\nb.png\nc.png\n")
    assert read_inputs(str(listed)) == (found, str(tmp_path / "in"))
    listed.unlink()
    # As staging wrote it, beside the part's folder.
    beside = tmp_path / "in.inputs"
    beside.write_bytes(pack_inputs(found))
    assert read_inputs(str(beside)) == (found, inputs)
    # For files that are not at hand.
    far = tmp_path / "far.jsonl"
    lines = [
        {"node_id": 70 + number, "path": f"x/{name}.png", "size_bytes": 9, "key": one.key}
        for number, (name, one) in enumerate(zip("abc", found, strict=True))
    ]
    far.write_text("".join(json.dumps(line) + "\n" for line in lines))
    [told] = json_lines(attempt(contract, str(far), outputs, "--json"))
    assert told["rows"] == [{"node_id": 70, "values": {"width": 4}}]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nowhere.png", "line 2: 'nowhere.png' is not there: put it beside the list"),
        ("../a.png", "line 2: '../a.png' is no path below the inputs"),
        ("a.png", "two inputs have the path 'a.png'"),
        ('{"path": "b.png", "node_id": 1}', "two inputs have the node_id 1"),
        ('{"path": "b.png", "keys": 1}', "line 2: keys: Extra inputs are not permitted"),
        ('{"path": "b.png", "key": "short"}', "line 2: key: "),
        ('{"path": ', "line 2: is no JSON"),
    ],
)
def test_a_wrong_list_is_one_message(tmp_path: Path, line: str, expected: str):
    contract, _, outputs = canned(tmp_path)
    listed = tmp_path / "in" / "list.txt"
    listed.write_text(f"a.png\n{line}\n")
    ended = attempt(contract, str(listed), outputs, expect=2)
    assert expected in ended.stderr.decode() and b"Traceback" not in ended.stderr


def test_what_cannot_be_tried_is_one_message(tmp_path: Path):
    contract, inputs, outputs = canned(tmp_path)
    for given, expected in (
        (("tag_filter", inputs, outputs), "reads no outputs: nothing to try"),
        ((contract, inputs, outputs + "/no"), "is no folder"),
        ((contract, str(tmp_path / "no"), outputs), "cannot be read"),
        ((contract, str(tmp_path / "c" / "contract.yaml"), outputs), "line 1: "),
        ((contract, inputs, outputs, "--set", "size=3"), "takes no parameters"),
    ):
        ended = attempt(*given, expect=2)
        assert expected in ended.stderr.decode() and b"Traceback" not in ended.stderr, given
    os.mkdir(tmp_path / "empty")
    assert b"has no inputs" in attempt(contract, str(tmp_path / "empty"), outputs, expect=2).stderr
