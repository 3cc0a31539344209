"""`drystone select` and `drystone node ...` as a person uses them, on a real database."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from command import run_text
from selector_meaning import expected
from selector_world import World, insert_world, make_world

from sql import CommonMetadata, Database, VirtualNode, WriteIntent, key_of
from sql.core.declared import Column, DeclaredTable
from sql.database import node_flags, node_parts
from sql.selector.document import parse_selector

IMAGES = "version: 1\nwhere: {media_type: image}\n"


@pytest.fixture
def world(database: Database) -> World:
    made = make_world(11)
    insert_world(database, made)
    return made


class Shell:
    """Runs commands of `drystone` on the test's database."""

    def __init__(self, folder: str, dsn: str) -> None:
        self.folder = folder
        self.config = os.path.join(folder, "drystone.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(
                f'ssd = "ssd"\n[store]\nstore_id = "{"0" * 32}"\n[database]\ndsn = "{dsn}"\n'
            )

    def write(self, text: str, name: str = "selector.yaml") -> str:
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess:
        done = run_text(*arguments, config_path=self.config, text=stdin)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def shell(short_tmp: str, database_url: str) -> Shell:
    return Shell(short_tmp, database_url)


def lines(done: subprocess.CompletedProcess) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_select_lists_counts_and_explains(shell: Shell, world: World):
    file = shell.write(IMAGES)
    wanted = expected(world, parse_selector(IMAGES))
    rows = lines(shell.run("select", file, "--json"))
    assert {row["node_id"] for row in rows} == wanted
    plain = shell.run("select", "-", stdin=IMAGES).stdout.splitlines()
    assert {int(line.split("\t")[0]) for line in plain} == wanted
    (total,) = lines(shell.run("select", file, "--count", "--json"))
    assert (total["count"], list(total["by_media_type"])) == (len(wanted), ["image"])
    assert shell.run("select", file, "--count").stdout.startswith(f"{len(wanted)} nodes")
    (told,) = lines(shell.run("select", file, "--explain", "--json"))
    assert "physical_content" in told["statement"]
    assert "rows, about" in shell.run("select", file, "--explain").stdout


def test_a_mistake_is_one_message_and_exit_code_2(shell: Shell, world: World):
    done = shell.run("select", shell.write("version: 1\nwhere: {medja: x}"), code=2)
    assert (done.stdout, "where.medja: unknown" in done.stderr) == ("", True)
    assert "cannot be read" in shell.run("select", "nowhere.yaml", code=2).stderr
    assert "there is no node" in shell.run("node", "show", "twitter:user:nobody", code=1).stderr


def test_of_a_node_that_was_seen_often_the_newest_is_told(shell: Shell, database: Database):
    column = Column(name="likes", type="bigint", comment="Test")
    database.declare(
        DeclaredTable(kind="source", name="web", version=1, comment="Test", columns=(column,))
    )
    seen = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(103)]
    told = tuple(
        CommonMetadata(key=key_of("t:user:1"), source="web", is_raw=True, is_root=True,
                       title=f"day {day}", download_time=time)
        for day, time in enumerate(seen)
    )  # fmt: skip
    virtual = (VirtualNode(description="t:user:1"),)
    database.apply_intent(
        WriteIntent(intent_id="seen", virtual_nodes=virtual, common_metadata=told)
    )
    titles = [row["title"] for row in database.explore.node("t:user:1").metadata]
    assert titles == [f"day {day}" for day in range(3, 103)]
    told_lines = shell.run("node", "show", "t:user:1").stdout.splitlines()
    assert any("title=day 102" in line for line in told_lines)
    assert "  ... at most 100 are shown, the newest" in told_lines


def test_deleting_hides_and_undeleting_brings_back(shell: Shell, world: World, database: Database):
    file = shell.write(IMAGES)
    # Deleting is for black-listed nodes too.
    shown = parse_selector(IMAGES + "include_blacklisted: true\n")
    before = {row.node_id for row in database.query_nodes(shown)}
    size = database.aggregate(shown).size_bytes
    done = shell.run("node", "delete", "--selector", file, "--dry-run", "--json")
    (told,) = lines(done)
    assert (told["nodes"], told["size_bytes"], told["changed"]) == (len(before), size, 0)
    assert "would delete" in done.stderr
    done = shell.run("node", "delete", "--selector", file, stdin="n\n", code=1)
    assert "nothing was done" in done.stderr
    assert database.aggregate(shown).count == len(before)
    for _ in range(2):  # Deleting, undoing and deleting again does each of them.
        done = shell.run("node", "delete", "--selector", file, stdin="y\n")
        assert f"{len(before)} nodes" in done.stderr
        assert database.aggregate(shown).count == 0
        assert "nothing to delete" in shell.run("node", "delete", "--selector", file).stderr
        (told,) = lines(shell.run("node", "undelete", "--selector", file, "--yes", "--json"))
        found = {row.node_id for row in database.query_nodes(shown)}
        # Those that were deleted before come back too.
        assert before <= found
        assert told["changed"] >= len(before)
        before = found


def test_the_black_list(shell: Shell, world: World, database: Database):
    file = shell.write(IMAGES)
    before = database.aggregate(parse_selector(IMAGES)).count
    assert before
    shell.run("node", "blacklist", "--selector", file, "--yes")
    assert database.aggregate(parse_selector(IMAGES)).count == 0
    done = shell.run("node", "unblacklist", "--selector", "-", "--yes", stdin=IMAGES)
    assert "nodes" in done.stderr
    assert database.aggregate(parse_selector(IMAGES)).count >= before
    done = shell.run("node", "blacklist", "--selector", "-", stdin=IMAGES, code=2)
    assert "give --yes" in done.stderr


def test_flags_are_set_in_parts(world: World, database: Database, monkeypatch):
    monkeypatch.setattr(node_parts, "PART_NODES", 3)
    everything = parse_selector("version: 1")
    count = node_flags.preview(database, "delete", everything, all_nodes=True).count
    seen: list[int] = []
    done = node_flags.set_flags(database, "delete", everything, seen.append, all_nodes=True)
    assert done == count
    assert len(seen) == -(-count // 3) > 1
    rows = list(database.query_nodes(everything))
    assert all(row.size_bytes is None for row in rows)


def test_every_node_has_to_be_meant(shell: Shell, world: World, database: Database):
    before = database.aggregate(parse_selector("version: 1")).count
    for text in ("version: 1\n", "version: 1\nlimit: 3\n"):
        file = shell.write(text)
        for verb in ("delete", "undelete", "blacklist", "unblacklist"):
            done = shell.run("node", verb, "--selector", file, "--yes", code=2)
            assert "no condition" in done.stderr
            assert "--all" in done.stderr
    blank = shell.write("version: 1\nwhere: {create_time: {before: }}\n")
    assert "has no value" in shell.run("node", "delete", "--selector", blank, code=2).stderr
    assert database.aggregate(parse_selector("version: 1")).count == before
    file = shell.write("version: 1\n")
    (told,) = lines(shell.run("node", "delete", "--selector", file, "--all", "--yes", "--json"))
    assert told["changed"] > 0


@pytest.mark.parametrize("cut", ["limit: 4", "sample: {count: 4}", "sample: {count: 4}\nlimit: 3"])
def test_the_same_command_again_takes_no_others(world: World, database: Database, cut: str):
    chosen = parse_selector(f"version: 1\nwhere: {{is_physical: true}}\n{cut}")
    all_of_them = chosen.model_copy(update={"include_deleted": True, "include_blacklisted": True})
    wanted = {row.key for row in database.query_nodes(all_of_them)}
    for verb, undo, flag in (
        ("delete", "undelete", "is_deleted"), ("blacklist", "unblacklist", "is_blacklisted"),
    ):  # fmt: skip
        marked = parse_selector(
            f"version: 1\nwhere: {{{flag}: true}}\ninclude_deleted: true\n"
            "include_blacklisted: true\n"
        )
        hidden = {row.key for row in database.query_nodes(marked)}
        left = len(wanted - hidden)
        assert node_flags.preview(database, verb, chosen).count == left
        assert node_flags.set_flags(database, verb, chosen) == left
        assert node_flags.preview(database, verb, chosen).count == 0
        assert node_flags.set_flags(database, verb, chosen) == 0
        assert {row.key for row in database.query_nodes(marked)} == hidden | wanted
        assert node_flags.set_flags(database, undo, chosen) == len(wanted)
        assert {row.key for row in database.query_nodes(marked)} == hidden - wanted


def test_the_verbs_do_not_hide_nodes_from_each_other(world: World, database: Database):
    key = next(row.key for row in database.query_nodes(parse_selector(IMAGES)))
    one = parse_selector(f"version: 1\nwhere: {{key: {key}}}")
    for verb in ("blacklist", "delete", "unblacklist", "blacklist", "undelete", "unblacklist"):
        assert node_flags.set_flags(database, verb, one) == 1, verb
    assert [row.key for row in database.query_nodes(one)] == [key]


def test_show_finds_a_node_by_all_its_names(shell: Shell, world: World):
    node = next(n for n in world.nodes.values() if n.description and n.metadata and n.alpha)
    names = (str(node.node_id), node.sha256.hex(), node.description)
    reports = [lines(shell.run("node", "show", name, "--json"))[0] for name in names]
    assert reports[0] == reports[1] == reports[2]
    report = reports[0]
    assert report["node"]["description"] == node.description
    assert len(report["metadata"]) == len(node.metadata)
    assert len(report["declared"]["meta_alpha"]) == len(node.alpha)
    related = {(row["node_id"], row["relationship"]) for row in report["parents"]}
    assert related == {(p, name) for p, c, name in world.edges if c == node.node_id}
    related = {(row["node_id"], row["relationship"]) for row in report["children"]}
    assert related == {(c, name) for p, c, name in world.edges if p == node.node_id}
    assert report["breadcrumb"][-1]["node_id"] == node.node_id
    for other in world.nodes.values():
        text = shell.run("node", "show", str(other.node_id)).stdout if other.depth > 1 else ""
        assert not text or text.startswith(f"node        {other.node_id}\n")
        if text:
            break
