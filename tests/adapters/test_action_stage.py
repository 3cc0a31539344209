"""Parts are staged as the contract says, refused where names collide, and freed again."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import action_contracts
import pytest
from action_stage_world import IMAGES, POST, World, connect, hide, load, make_world, picture
from ingest_harness import House

from adapters.actions import (
    StagedPart,
    declare_contract,
    make_batch,
    plan_parts,
    release_part,
    rendered_command,
    stage_part,
    verify_sealed,
)
from adapters.records.errors import SpaceError
from base.errors import DrystoneError, UsageError
from sql import parse_selector

# What was written counts until the stage is measured again.
SETTLING_BYTES = 100_000
HOSTILE = "../\u202e a/b\x07\n" + "x" * 300


@pytest.fixture
def world(house: House) -> World:
    contents = {f"p{n}.png": picture(n) for n in range(4)} | {"t.txt": b"text"}
    return make_world(house, contents, {"p0.png": "Cat", "p1.png": HOSTILE, "p2.png": "Cat"})


def staged(world: World, loaded, parameters=None, suffix: str = "") -> StagedPart:
    house = world.house
    declare_contract(house.database, loaded)
    batch = make_batch(house.database, IMAGES, contract=loaded)
    [part] = plan_parts(house.database, loaded, batch, parameters or {})
    return stage_part(
        house.store.client, house.database, loaded, batch, part, parameters or {}, suffix
    )


def tree(root: str) -> dict[str, bytes]:
    return {
        os.path.relpath(os.path.join(folder, name), root): Path(folder, name).read_bytes()
        for folder, _, names in os.walk(root)
        for name in names
        if name not in ("_JOB.json", "_SEALED")
    }


def in_stage(house: House) -> list[str]:
    """Return what lies in 3C, but for the store's own folders."""
    return sorted(name for name in os.listdir(house.area("3c")) if not name.startswith("."))


def reserved_bytes(house: House) -> int:
    for job in house.store.client.jobs():  # What is released is held until its bytes are gone.
        house.store.client.wait(job.job_id)
    areas = house.store.client.capacity().areas
    return next(area.reserved_bytes for area in areas if area.area == "3c")


def test_a_tree_with_sidecars_and_a_listing(world: World, tmp_path: Path):
    done = staged(world, load(tmp_path, action_contracts.AC2))
    found = tree(done.input_root)
    names = [f"p{n}.png" for n in range(4)]
    for name in names:
        path = f"in/{world.keys[name]}.png"
        assert found.pop(path) == world.contents[name]
        sidecar = json.loads(found.pop(path + ".json"))
        titles = {"p0.png": "Cat", "p1.png": HOSTILE, "p2.png": "Cat"}
        assert sidecar == {
            "title": titles.get(name),
            "nested": {"size": [len(world.contents[name])]},
        }
    rows = list(csv.DictReader(found.pop("list/all.csv").decode().splitlines()))
    assert [row["number"] for row in rows] == ["0000", "0001", "0002", "0003"]
    assert [row["file"] for row in rows] == [one.path for one in done.files]
    assert found == {}
    assert [one.node_id for one in done.files] == sorted(world.ids[name] for name in names)
    assert done.input_bytes == sum(len(world.contents[name]) for name in names)
    assert (done.output_root, os.listdir(done.output_root)) == (done.input_root + ".output", [])
    # What the run and apply steps get is JSON, and small: the inputs are read back from a file.
    document = json.loads(json.dumps(done.to_json()))
    assert "files" not in document
    assert StagedPart.of_json(document) == done
    done.check_files()
    # Programs and other machines may write there: another node in the list is nobody's input.
    listed = Path(done.inputs_path).read_text()
    Path(done.inputs_path).write_text(listed.replace(f"[{done.files[0].node_id},", "[1,"))
    with pytest.raises(DrystoneError, match="released or changed"):
        StagedPart.of_json(document).check_files()
    os.unlink(done.inputs_path)
    with pytest.raises(DrystoneError, match="was it released"):
        StagedPart.of_json(document).check_files()


def test_relatives_lie_beside_their_input(world: World, tmp_path: Path):
    connect(world, "p0.png", "p1.png")
    connect(world, "p0.png", "p2.png")
    connect(world, "p3.png", "t.txt", "described by")
    done = staged(world, load(tmp_path, action_contracts.AC4), {"size": "7"})
    found = tree(done.input_root)
    assert {path: data for path, data in found.items() if path.startswith("originals/")} == {
        f"originals/{world.keys['p0.png']}.png": world.contents["p0.png"]
    }
    parts = {path: data for path, data in found.items() if path.startswith("parts/")}
    assert parts == {
        f"parts/{world.keys['p0.png']}/0.png": world.contents["p1.png"],
        f"parts/{world.keys['p0.png']}/1.png": world.contents["p2.png"],
        f"parts/{world.keys['p3.png']}/0.txt": b"text",
    }
    names = [os.path.basename(one.path) for one in done.files]
    # The first parent is told in texts, virtual or not.
    assert found["names.txt"].decode().splitlines() == [f"{name} {POST}" for name in names]
    assert os.listdir(done.output_root) == ["done"]
    assert os.listdir(os.path.join(done.output_root, "done")) == ["fit"]


def test_hostile_titles_become_harmless_names(world: World, tmp_path: Path):
    done = staged(world, load(tmp_path, action_contracts.AC4))
    [hostile] = [one.path for one in done.files if one.node_id == world.ids["p1.png"]]
    folder, name = hostile.split("/")
    assert folder == "image"
    assert name.startswith("000001_.._")
    assert name.isprintable()
    assert len(name.encode()) < 150


def test_two_files_in_one_place_are_refused_with_both_nodes(world: World, tmp_path: Path):
    # A relative is told by its input and place, so a check cannot know that there are two.
    text = action_contracts.AC4.replace("{node.key}/{number}", "{node.key}/one")
    connect(world, "p0.png", "p1.png")
    connect(world, "p0.png", "p2.png")
    with pytest.raises(UsageError) as caught:
        staged(world, load(tmp_path, text))
    node = world.ids["p0.png"]
    key = world.keys["p0.png"]
    assert f"parts/{key}/one.png: the path of node {node} and node {node}" in str(caught.value)
    assert in_stage(world.house) == []


def test_two_nodes_of_one_name_are_refused(world: World, tmp_path: Path):
    loaded = load(tmp_path, action_contracts.AC2)
    changed = loaded.contract.stage_layout.files[0].model_copy(
        update={"path": "in/{metadata.title}.png"}
    )
    layout = loaded.contract.stage_layout.model_copy(update={"files": (changed,)})
    contract = loaded.contract.model_copy(update={"stage_layout": layout})
    with pytest.raises(UsageError) as caught:
        staged(world, replace(loaded, contract=contract))
    first, second = sorted((world.ids["p0.png"], world.ids["p2.png"]))
    assert f"in/Cat.png: the path of node {first} and node {second}" in str(caught.value)


def test_hidden_nodes_are_left_out_and_named(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC2)
    declare_contract(house.database, loaded)
    batch = make_batch(house.database, None, contract=loaded)
    hide(world, "p0.png")
    hide(world, "p3.png", delete=False)
    connect(world, "p0.png", "p1.png")
    [part] = plan_parts(house.database, loaded, batch, {})
    done = stage_part(house.store.client, house.database, loaded, batch, part, {})
    assert {(one.node_id, one.reason) for one in done.left_out} == {
        (world.ids["p0.png"], "deleted"),
        (world.ids["p3.png"], "black-listed"),
    }
    assert {world.name_of(one.node_id) for one in done.files} == {"p1.png", "p2.png"}
    # Even when nothing is left: whoever runs the part sees that there is nothing to run.
    bare = loaded.contract.stage_layout.model_copy(update={"sidecars": (), "listings": ()})
    contract = loaded.contract.model_copy(update={"stage_layout": bare})
    one = part.model_copy(update={"node_ids": (world.ids["p0.png"],)})
    client, emptied = house.store.client, replace(loaded, contract=contract)
    empty = stage_part(client, house.database, emptied, batch, one, {}, "-empty")
    assert (empty.files, empty.staged_files, len(empty.left_out)) == ((), 0, 1)


def test_staging_again_changes_nothing_and_empties_the_output(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC2)
    done = staged(world, loaded)
    Path(done.output_root, "half").write_bytes(b"written")
    before = Path(done.input_root, "_JOB.json").stat().st_mtime_ns
    [part] = plan_parts(house.database, loaded, done.action_batch_id, {})
    reserved = reserved_bytes(house)
    again = stage_part(house.store.client, house.database, loaded, done.action_batch_id, part, {})
    assert again.model_copy(update={"job_id": done.job_id}) == done
    assert Path(done.input_root, "_JOB.json").stat().st_mtime_ns == before
    assert os.listdir(done.output_root) == []
    assert reserved_bytes(house) == reserved


def test_a_title_that_changed_meanwhile_is_staged_anew(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC2)
    done = staged(world, loaded)
    hide(world, "p0.png")
    [part] = plan_parts(house.database, loaded, done.action_batch_id, {})
    again = stage_part(house.store.client, house.database, loaded, done.action_batch_id, part, {})
    assert len(again.files) == len(done.files) - 1
    assert sum(path.endswith(".png") for path in tree(again.input_root)) == len(again.files)


def test_release_frees_everything_and_may_come_twice(world: World, tmp_path: Path):
    house = world.house
    done = staged(world, load(tmp_path, action_contracts.AC2), suffix="-x")
    assert done.layout_id == "plain-0-x"
    assert reserved_bytes(house) >= done.output_bytes_max
    Path(done.output_root, "out").write_bytes(b"x" * 5000)
    for _ in range(2):
        release_part(house.store.client, done)
        assert in_stage(house) == []
        assert reserved_bytes(house) < SETTLING_BYTES


def test_a_restart_of_the_engine_keeps_the_reservation(world: World, tmp_path: Path):
    house = world.house
    done = staged(world, load(tmp_path, action_contracts.AC2))
    house.store.stop()
    house.store.start()
    assert reserved_bytes(house) >= done.output_bytes_max
    release_part(house.store.client, done)
    assert reserved_bytes(house) < SETTLING_BYTES


def test_no_room_is_told_before_anything_lies_there(world: World, tmp_path: Path):
    house = world.house
    text = action_contracts.AC2.replace(
        "  environment:", "  output_bytes_max: 999999999999999\n  environment:"
    )
    with pytest.raises(SpaceError, match=r"part 0 of action batch \d+: .*asks for 999,999"):
        staged(world, load(tmp_path, text))
    assert in_stage(house) == []
    assert reserved_bytes(house) == 0


def test_a_view_shows_the_inputs_without_copying(world: World, tmp_path: Path):
    world.house.store.mount()
    text = action_contracts.AC2.replace("layout_id: plain", "layout_id: plain\n  mode: view")
    done = staged(world, load(tmp_path, text))
    assert done.input_root.startswith(world.house.store.config.mount)
    assert len(tree(done.input_root)) == 9
    assert sorted(os.listdir(os.path.dirname(done.output_root))) == [
        "plain-0.inputs",
        "plain-0.output",
    ]
    release_part(world.house.store.client, done)
    assert world.house.store.client.views() == []
    assert in_stage(world.house) == []


def test_a_listing_longer_than_a_manifest_may_hold(world: World, tmp_path: Path):
    line = "{node.key} " + "x" * 900_000
    text = action_contracts.AC2.replace(
        '      format: csv\n      columns: {file: "{file.path}", number: "{index:04}"}',
        f'      format: csv\n      columns: {{file: "{line[:900]}"}}',
    )
    loaded = load(tmp_path, text)
    long = loaded.contract.stage_layout.listings[0].model_copy(update={"columns": {"file": line}})
    layout = loaded.contract.stage_layout.model_copy(update={"listings": (long,)})
    contract = loaded.contract.model_copy(update={"stage_layout": layout})
    done = staged(world, replace(loaded, contract=contract))
    assert len(tree(done.input_root)["list/all.csv"]) > 4 * 900_000


def test_human_tasks_are_listed_in_the_tools_forms(world: World, tmp_path: Path):
    done = staged(world, load(tmp_path, action_contracts.AC5))
    tasks = json.loads(Path(done.input_root, "tasks.json").read_text())
    assert [task["id"] for task in tasks] == [one.node_id for one in done.files]
    assert tasks[0]["data"] == {
        "image": done.files[0].path, "key": done.files[0].key, "title": "Cat",
    }  # fmt: skip
    coco = json.loads(Path(done.input_root, "coco.json").read_text())
    assert coco["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    assert coco["images"][1]["file_name"] == done.files[1].path


def test_the_command_is_rendered_with_the_folders(world: World, tmp_path: Path):
    loaded = load(tmp_path, action_contracts.AC4)
    done = staged(world, loaded, {"size": 7})
    run = rendered_command(loaded, done, {"size": 7})
    assert run.argv == ("shrink", "--size=7", done.input_root)
    assert run.cwd == done.input_root
    assert run.output_bytes_max == done.output_bytes_max
    assert run.contract_folder == loaded.folder
    assert type(run).model_validate(json.loads(run.model_dump_json())) == run


def test_a_batch_is_sealed_and_holds_what_the_contract_can_work_on(world: World, tmp_path: Path):
    database, loaded = world.house.database, load(tmp_path, action_contracts.AC2)
    everything = parse_selector("version: 1")
    batch = make_batch(database, everything, contract=loaded)
    verify_sealed(database, batch)
    assert database.action_context.batch(batch).nodes == 4
    some = parse_selector("version: 1\nwhere: {metadata: {title: Cat}}\nlimit: 1")
    assert database.action_context.batch(make_batch(database, some, contract=loaded)).nodes == 1
    texts = parse_selector("version: 1\nwhere: {media_type: text}")
    with pytest.raises(UsageError, match="finds no node that measure can work on"):
        make_batch(database, texts, contract=loaded)
    unsealed = database.create_action_batch()
    with pytest.raises(UsageError, match="is not sealed"):
        verify_sealed(database, unsealed)
