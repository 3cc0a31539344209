"""A dry run tells what would be, and is right about it; the commands as a person types them."""

from __future__ import annotations

import os
from pathlib import Path

import action_contracts
import pytest
from action_stage_world import IMAGES, World, connect, load, make_world, picture
from command import drystone, json_lines
from ingest_harness import House

from adapters.actions import (
    declare_contract,
    dry_run_action,
    make_batch,
    plan_parts,
    rendered_command,
    stage_part,
)
from base.errors import UsageError
from sql import parse_selector

SELECTOR = "version: 1\nwhere: {metadata: {title: Cat}}\n"


@pytest.fixture
def world(house: House) -> World:
    contents = {f"p{n}.png": picture(n) for n in range(4)} | {"t.txt": b"text"}
    return make_world(house, contents, {"p0.png": "Cat", "p2.png": "Cat"})


def run(world: World, *arguments: str, expect: int = 0):
    return drystone(*arguments, "--config", world.house.config_path, expect=expect)


def test_what_is_told_is_what_is_staged(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC4)
    client, database = house.store.client, house.database
    connect(world, "p0.png", "p1.png")
    declare_contract(database, loaded)
    told = dry_run_action(client, database, loaded, IMAGES, parameters={"size": "7"})
    assert (told.nodes, told.parts, told.nodes_done) == (4, 1, 0)
    assert (told.children_max, told.children_bytes_max) == (40, 10 * told.size_bytes)
    assert told.room is not None
    assert told.room.verdict == "fits"
    assert [name for name in os.listdir(house.area("3c")) if not name.startswith(".")] == []
    batch = make_batch(database, IMAGES, contract=loaded)
    [part] = plan_parts(database, loaded, batch, {"size": 7})
    staged = stage_part(client, database, loaded, batch, part, {"size": 7}, 31)
    assert told.staged_files == staged.staged_files
    assert told.staged_bytes == staged.staged_bytes
    assert told.output_bytes_max == staged.output_bytes_max
    of_batch = dry_run_action(client, database, loaded, None, batch, {"size": 7})
    # But for the number of the run, which there is not yet.
    command = rendered_command(loaded, staged, {"size": 7}, run_id=31)
    shown = of_batch.command.model_dump_json().replace("/RUN-", "/31-").replace('"RUN"', '"31"')
    assert shown == command.model_dump_json()
    for _, path in of_batch.paths:
        assert os.path.isfile(os.path.join(house.store.config.ssd, path.replace("RUN", "31")))


def test_selectors_that_find_nothing_are_told(world: World, tmp_path: Path):
    house, loaded = world.house, load(tmp_path, action_contracts.AC2)
    texts = parse_selector("version: 1\nwhere: {media_type: text}")
    with pytest.raises(UsageError, match="finds no node that measure can work on"):
        dry_run_action(house.store.client, house.database, loaded, texts)


def test_the_commands(world: World, tmp_path: Path):
    house = world.house
    load(tmp_path, action_contracts.AC2, "actions/measure")
    load(tmp_path, action_contracts.AC4, "actions/shrink")
    with open(house.config_path, "a", encoding="utf-8") as file:
        file.write(f"\n[actions]\nfolders = ['{tmp_path}/actions']\n")
    selector = tmp_path / "cats.yaml"
    selector.write_text(SELECTOR)
    [rows] = json_lines(run(world, "contract", "list", "--json"))
    assert {"measure", "shrink", "image_probe"} <= {row["name"] for row in rows}
    contract = str(tmp_path / "actions/measure/contract.yaml")
    [checked] = json_lines(run(world, "contract", "check", contract, "--database", "--json"))
    assert (checked["problems"], checked["version"]) == ([], 1)
    arguments = ("action", "dry-run", "measure", "--selector", str(selector))
    [told] = json_lines(run(world, *arguments, "--json"))
    assert (told["nodes"], told["staged_files"], told["room"]["verdict"]) == (2, 5, "fits")
    assert len(run(world, *arguments, "--paths").stdout.splitlines()) == 5
    assert b"left out" in run(world, *arguments).stdout
    shelf = "shelf: {cases: [{where: {size_bytes: {min: 1}}, then: some}], otherwise: none}"
    computed = action_contracts.AC1.replace("values: {", f"computed: {{{shelf}}}, values: {{")
    load(tmp_path, computed + "  shelf: {type: text, description: Where}\n", "actions/starred")
    contract = str(tmp_path / "actions/starred/contract.yaml")
    [checked] = json_lines(run(world, "contract", "check", contract, "--database", "--json"))
    assert "CASE WHEN" in checked["computed"]["statement"]
    assert {"some", "none"} <= set(checked["computed"]["parameters"].values())
    assert b"SQL: SELECT" in run(world, "contract", "check", contract, "--database").stdout
    [told] = json_lines(run(world, "action", "dry-run", "starred", *arguments[3:], "--json"))
    assert told["computed"] == checked["computed"]
    assert b"= 'some'" in run(world, "action", "dry-run", "starred", *arguments[3:]).stdout
    created = run(world, "batch", "create", "--selector", str(selector), "--action", "measure")
    batch = created.stdout.decode().strip()
    laid = run(world, "batch", "stage", batch, "--layout", "by hand", "--json")
    [laid] = json_lines(laid)
    assert len([name for name in os.listdir(laid["target_root"]) if name[0] != "_"]) == 2
    run(world, "batch", "stage", batch, "--layout", "by hand", "--free")
    assert not os.path.exists(laid["target_root"])
    assert (
        b"is not in action batch"
        in run(world, "batch", "stage", batch, "--layout", "a", "--node", "999999", expect=2).stderr
    )
    pipeline = tmp_path / "pictures.yaml"
    pipeline.write_text("name: pictures\nstages: [{action: measure}, {action: shrink}]\n")
    run(world, "pipeline", "check", str(pipeline))
    run(world, "pipeline", "declare", str(pipeline))
    run(world, "pipeline", "enrol", "pictures", batch)
    [[listed]] = json_lines(run(world, "pipeline", "list", "--json"))
    assert [stage["action"] for stage in listed["stages"]] == ["measure", "shrink"]
    house.database.actions.record_action_history(501, int(batch), "done")
    [shown] = json_lines(run(world, "batch", "show", batch, "--json"))
    assert (shown["node_count"], shown["next"][0]["action"]) == (2, "shrink")
    assert b"pictures" in run(world, "batch", "show", batch).stdout
    for unknown in ("999999", "9" * 30):
        refused = run(world, "pipeline", "show", "pictures", "--batch", unknown, expect=1)
        assert f"there is no action batch {unknown}".encode() in refused.stderr
    stands = run(world, "pipeline", "show", "pictures", "--batch", batch, expect=3).stdout
    assert b"shrink" in stands


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("contract", "check", "{bad}"), b"line 3, type: is 'AC9'"),
        (("contract", "check", "{tmp}/none.yaml"), b"cannot be read"),
        (("action", "dry-run", "nothing", "--config", "{config}"), b"there is no action 'nothing'"),
    ],
)
def test_mistakes_are_one_message(store, tmp_path: Path, arguments: tuple, expected: bytes):
    bad = tmp_path / "bad.yaml"
    bad.write_text(action_contracts.AC2.replace("type: AC2", "type: AC9"))
    places = {"bad": bad, "tmp": tmp_path, "config": store(started=False).config_path}
    result = drystone(*(part.format(**places) for part in arguments), expect=2, cwd=tmp_path)
    assert expected in result.stderr
    assert b"Traceback" not in result.stderr
