"""Parts are staged as the contract says, refused where names collide, and freed again."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import action_contracts
import pytest
from action_stage_world import IMAGES, POST, World, connect, hide, load, make_world, picture
from ingest_harness import House

from adapters.actions import (
    ActionPart,
    LoadedContract,
    StagedPart,
    changed_input,
    declare_contract,
    empty_output,
    make_batch,
    plan_parts,
    release_part,
    release_stage_of,
    rendered_command,
    stage_nodes,
    stage_part,
    verify_sealed,
)
from adapters.actions.stage.stage import _wait_for_view
from base.errors import DrystoneError, UsageError
from sql import parse_selector
from sql.actions.history import create_action_batch

# What was written counts until the stage is measured again.
SETTLING_BYTES = 100_000
HOSTILE = "../\u202e a/b\x07\n" + "x" * 300


@pytest.fixture
def world(house: House) -> World:
    contents = {f"p{n}.png": picture(n) for n in range(4)} | {"t.txt": b"text"}
    return make_world(house, contents, {"p0.png": "Cat", "p1.png": HOSTILE, "p2.png": "Cat"})


def staged(world: World, loaded, parameters=None) -> StagedPart:
    house = world.house
    declare_contract(house.database, loaded)
    batch = make_batch(house.database, IMAGES, contract=loaded)
    [part] = plan_parts(house.database, loaded, batch, parameters or {})
    return stage_part(house.store.client, house.database, loaded, batch, part, parameters or {})


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
    one = part.model_copy(update={"number": 1, "node_ids": (world.ids["p0.png"],)})
    client, emptied = house.store.client, replace(loaded, contract=contract)
    empty = stage_part(client, house.database, emptied, batch, one, {})
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


@pytest.mark.parametrize("mode", ["copy", "view"])
def test_nodes_are_laid_out_by_their_ids(world: World, mode: str):
    house, client, database = world.house, world.house.store.client, world.house.database
    if mode == "view":
        house.store.mount()
    batch = make_batch(database, parse_selector("version: 1\nwhere: {is_physical: true}"))
    hide(world, "p0.png")
    answer, left_out = stage_nodes(client, database, batch, "all", mode=mode)
    assert left_out == [(world.ids["p0.png"], "deleted")]
    if mode == "view":
        _wait_for_view(answer.target_root)
    assert tree(answer.target_root) == {
        f"{world.ids[name]}.{name.rpartition('.')[2]}": data
        for name, data in world.contents.items()
        if name != "p0.png"
    }
    some = [world.ids["t.txt"], world.ids["p2.png"]]
    answer, left_out = stage_nodes(client, database, batch, "some/3", some)
    assert answer.target_root == f"{house.area('3c')}/{batch}/some/3"
    assert set(tree(answer.target_root)) == {f"{some[0]}.txt", f"{some[1]}.png"}
    with pytest.raises(UsageError, match=f"node {world.ids['post']} is not in action batch"):
        stage_nodes(client, database, batch, "wrong", [world.ids["post"]])
    for layout in ("all", "some/3"):
        client.release_stage(str(batch), layout)
    assert in_stage(house) == []


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
    done = staged(world, load(tmp_path, action_contracts.AC2))
    assert done.layout_id == "plain/0"
    assert done.input_root == f"{house.area('3c')}/{done.action_batch_id}/plain/0"
    assert reserved_bytes(house) >= done.output_bytes_max
    Path(done.output_root, "out").write_bytes(b"x" * 5000)
    for _ in range(2):
        release_part(house.store.client, done)
        assert in_stage(house) == []
        assert reserved_bytes(house) < SETTLING_BYTES


def test_what_is_staged_says_what_it_was_made_for(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC2)
    done = staged(world, loaded)
    document = json.loads(Path(done.input_root, "_JOB.json").read_text())
    assert (document["layout_id"], document["part"]) == ("plain", "0")
    assert document["provenance"] == {
        "action": "measure",
        "action_id": loaded.contract.action_id,
        "contract_version": 1,
        "contract_sha256": loaded.digest,
        "program": loaded.contract.run_spec.command[0],
        "image": None,
        "model": None,
    }
    # The same files for another version are staged anew: no document says what is not true.
    newer = replace(loaded, contract=loaded.contract.model_copy(update={"version": 2}))
    [part] = plan_parts(house.database, loaded, done.action_batch_id, {})
    again = stage_part(house.store.client, house.database, newer, done.action_batch_id, part, {})
    assert (again.input_root, again.manifest_key) == (done.input_root, done.manifest_key)
    document = json.loads(Path(again.input_root, "_JOB.json").read_text())
    assert document["provenance"]["contract_version"] == 2


@pytest.mark.parametrize("mode", ["copy", "view"])
def test_parts_lie_beside_each_other_and_go_one_by_one(world: World, tmp_path: Path, mode: str):
    house = world.house
    if mode == "view":
        house.store.mount()
    text = action_contracts.AC2.replace("layout_id: plain", f"layout_id: plain\n  mode: {mode}")
    loaded, client = load(tmp_path, text), house.store.client
    declare_contract(house.database, loaded)
    batch = make_batch(house.database, IMAGES, contract=loaded)
    [whole] = plan_parts(house.database, loaded, batch, {})
    parts = [
        ActionPart(number=number, node_ids=(node_id,), size_bytes=1)
        for number, node_id in enumerate(whole.node_ids)
    ]
    made = [stage_part(client, house.database, loaded, batch, part, {}) for part in parts]
    root = os.path.dirname(made[0].input_root)
    assert sorted(name for name in os.listdir(root) if name.isdigit()) == ["0", "1", "2", "3"]
    with pytest.raises(UsageError, match=f"stage/{batch}/plain has parts: name one"):
        client.release_stage(str(batch), "plain")
    release_part(client, made[1])
    assert sorted(name for name in os.listdir(root) if name.isdigit()) == ["0", "2", "3"]
    assert tree(made[2].input_root)[made[2].files[0].path]
    for part in made:
        release_part(client, part)
    assert in_stage(house) == []
    assert client.views() == []
    assert reserved_bytes(house) < SETTLING_BYTES


def test_no_part_lies_below_a_stage_that_has_none(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC2)
    done = staged(world, loaded)
    client, batch = house.store.client, str(done.action_batch_id)
    with pytest.raises(UsageError, match=f"stage/{batch}/plain has parts"):
        client.stage_to_3c(done.manifest_key, batch, "plain")
    client.wait(client.stage_to_3c(done.manifest_key, batch, "whole").job_id)
    with pytest.raises(UsageError, match=f"stage/{batch}/whole is laid out without parts"):
        client.stage_to_3c(done.manifest_key, batch, "whole/0")
    for wrong in ("plain/0/1", "plain/", "/0", "plain/..", "plain/_SEALED"):
        with pytest.raises(UsageError):
            client.stage_to_3c(done.manifest_key, batch, wrong)


def staged_as_before(world: World, loaded: LoadedContract) -> StagedPart:
    """Stage a part as the last version did: in `<layout>-<part>`, and nothing said what for."""
    house, done = world.house, staged(world, loaded)
    client, batch = house.store.client, str(done.action_batch_id)
    client.stage_output(batch, "plain-0", done.output_bytes_max)
    client.wait(client.stage_to_3c(done.manifest_key, batch, "plain-0", done.mode).job_id)
    root = os.path.join(house.area("3c"), batch, "plain-0")
    shutil.copy(done.inputs_path, root + ".inputs")
    release_part(client, done)
    document = {
        **done.to_json(),
        "layout_id": "plain-0",
        "input_root": root,
        "output_root": root + ".output",
        "inputs_path": root + ".inputs",
    }
    return StagedPart.of_json(json.loads(json.dumps(document)))


def test_what_the_last_version_staged_is_run_and_freed_there(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC2)
    former = staged_as_before(world, loaded)
    house.store.stop()
    house.store.start()
    former.check_files()
    assert changed_input(former) is None
    empty_output(loaded, former, {})
    assert rendered_command(loaded, former, {}).environment_set["DRYSTONE_LAYOUT_ID"] == "plain"
    assert reserved_bytes(house) >= former.output_bytes_max
    release_part(house.store.client, former)
    assert in_stage(house) == []
    assert reserved_bytes(house) < SETTLING_BYTES


def test_what_the_last_version_left_of_a_part_goes_with_it(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC2)
    former, client = staged_as_before(world, loaded), house.store.client
    batch = former.action_batch_id
    # It is whole, so it may be that of another run.
    release_stage_of(client, loaded, batch, 0, 31)
    former.check_files()
    release_part(client, former)
    for again in (False, True):
        client.stage_output(str(batch), "plain-0", former.output_bytes_max)
        if again:
            [part] = plan_parts(house.database, loaded, batch, {})
            done = stage_part(client, house.database, loaded, batch, part, {}, 31)
            assert done.layout_id == "plain/31-0"
            assert os.listdir(os.path.join(house.area("3c"), str(batch))) == ["plain"]
            release_part(client, done)
        else:
            release_stage_of(client, loaded, batch, 0, 31)
        assert in_stage(house) == []
    assert in_stage(house) == []
    assert os.listdir(os.path.join(house.area("3c"), ".outputs")) == []


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
    with pytest.raises(UsageError, match=r"part 0 never fits: one part needs 999,999"):
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
        "0.inputs",
        "0.output",
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
    assert run.environment_set == {
        "DRYSTONE_ACTION_BATCH_ID": str(done.action_batch_id),
        "DRYSTONE_RUN_ID": "RUN",
        "DRYSTONE_LAYOUT_ID": loaded.contract.stage_layout.layout_id,
        "DRYSTONE_PART": "0",
    }
    spec = loaded.contract.run_spec.model_copy(
        update={"command": ("x", "{run_id}-{action_batch_id}-{layout_id}-{part}")}
    )
    asking = replace(loaded, contract=loaded.contract.model_copy(update={"run_spec": spec}))
    told = rendered_command(asking, done, {"size": 7}, run_id=31)
    assert (
        told.argv[1] == f"31-{done.action_batch_id}-{run.environment_set['DRYSTONE_LAYOUT_ID']}-0"
    )
    assert told.environment_set["DRYSTONE_RUN_ID"] == "31"
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
    with database.connection() as connection:
        unsealed = create_action_batch(connection)
    with pytest.raises(UsageError, match="is not sealed"):
        verify_sealed(database, unsealed)
