"""Tags of people and collections, as commands and as what selectors and words find."""

from __future__ import annotations

import json

import pytest
from selector_world import World, insert_world, make_world
from test_sql_node_cli import IMAGES, Shell, lines, shell

from base.errors import UsageError
from base.operations.operation import Caller
from sql import Database, sql_operations
from sql.core.errors import BusyError, PartlyDoneError
from sql.database import node_groups, node_parts
from sql.intent.intent import Edge, RemovedEdge, WriteIntent
from sql.operations.place import Place
from sql.selector.document import parse_selector

__all__ = ["shell"]


@pytest.fixture
def world(database: Database) -> World:
    made = make_world(11)
    insert_world(database, made)
    return made


def found(database: Database, where: str) -> set[int]:
    selector = parse_selector(f"version: 1\nwhere: {where}\n")
    return {row.node_id for row in database.query_nodes(selector)}


def tagged(name: str) -> str:
    return f'{{parent: {{relationship: tagged, where: {{description: "people:tag:{name}"}}}}}}'


def test_a_tag_is_found_as_those_of_platforms_and_taken_off(
    shell: Shell, world: World, database: Database
):
    file = shell.write(IMAGES)
    images = found(database, "{media_type: image}")
    # Nothing is done unless somebody means it.
    done = shell.run("node", "tag", "Very  nice", "--selector", file, stdin="n\n", code=1)
    assert "nothing was done" in done.stderr
    done = shell.run("node", "tag", "Very nice", "--selector", file, "--dry-run")
    assert f"{len(images)} nodes" in done.stderr
    assert shell.run("node", "tags", "--json").stdout == "[]\n"
    done = shell.run("node", "tag", "Very  nice", "--selector", file, "--yes")
    assert f"{len(images)} nodes tagged with Very nice" in done.stderr
    assert found(database, tagged("very nice")) == images
    assert found(database, "{words: {tag: nice}}") >= images
    (row,) = json.loads(shell.run("node", "tags", "--json").stdout)
    assert (row["name"], row["nodes"]) == ("very nice", len(images))
    # Again it is nothing new; one node by its number, and off it comes.
    done = shell.run("node", "tag", "very nice", "--selector", file, "--yes")
    assert f"0 nodes tagged with very nice; {len(images)} were so before" in done.stderr
    one = min(images)
    shell.run("node", "untag", "very nice", "--node", str(one), "--yes")
    assert found(database, tagged("very nice")) == images - {one}
    # Who said what is kept.
    report = database.explore.node(str(one))
    assert [row["act"] for row in report.declared["meta_people"]] == ["tag", "untag"]
    assert report.declared["meta_people"][0]["user"]
    assert database.check_derived().wrong_count == 0


def test_a_collection_is_made_filled_and_emptied(shell: Shell, world: World, database: Database):
    images = sorted(found(database, "{media_type: image}"))[:3]
    keys = [database.explore.details([one])[0].key for one in images]
    done = shell.run("collection", "add", "Cats", "--node", keys[0], "--yes", code=1)
    assert "collection create" in done.stderr
    assert "made" in shell.run("collection", "create", "Cats").stderr
    assert "there already" in shell.run("collection", "create", "Cats").stderr
    given = [part for key in keys for part in ("--node", key)]
    shell.run("collection", "add", "Cats", *given, "--yes")
    where = '{parent: {relationship: member, where: {description: "people:collection:Cats"}}}'
    assert found(database, where) == set(images)
    assert "Cats" in shell.run("collection", "list").stdout
    (told,) = lines(shell.run("collection", "remove", "Cats", "--node", keys[0], "--yes", "--json"))
    assert (told["nodes"], told["changed"]) == (1, 1)
    assert found(database, where) == set(images[1:])
    # Its node has a title, and is itself no part of it.
    node = database.explore.node("people:collection:Cats").node
    shell.run("collection", "add", "Cats", "--node", node["key"], "--yes")
    assert found(database, where) == set(images[1:])


def test_a_saved_view_says_which_nodes(world: World, database: Database, database_url: str):
    secret = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
    ada = database.users.add("ada", "operator", secret).user_id
    view = '/explorer?s={"version":1,"where":{"media_type":["image"]}}'
    database.users.save_view(ada, "explorer", "my images", view)
    tag = sql_operations()["node.tag"]
    place = Place("", lambda: database)
    asked = tag.request_of({"name": "seen", "view": "my images"})
    answer = tag(place, Caller("ada", "operator"), asked)
    assert answer.changed == len(found(database, "{media_type: image}")) > 0
    with pytest.raises(Exception, match="no saved view"):
        tag(place, Caller("bob", "operator"), asked)
    for wrong in ({}, {"view": "my images", "nodes": ["1"]}, {"nodes": ["Peter"]}):
        with pytest.raises(UsageError):
            tag(place, Caller("ada", "operator"), tag.request_of({"name": "seen", **wrong}))
    for name in ("", " ", "...", "a\nb\x07", "x" * 101):
        with pytest.raises(UsageError):
            tag.request_of({"name": name, "view": "my images"})


def test_too_many_are_refused_before_anything_is_done(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(node_groups, "NODES_MAX", 2)
    images = parse_selector(IMAGES)
    with pytest.raises(UsageError, match="nothing was done"):
        node_groups.change(database, "tag", "much", images, "ada")
    assert node_groups.groups(database, "tag") == []


def test_what_fails_in_between_says_how_much_is_done(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(node_parts, "PART_NODES", 3)
    images = parse_selector(IMAGES)
    count = len(found(database, "{media_type: image}"))

    def stop(done: int) -> None:
        raise BusyError("somebody locked it")

    with pytest.raises(PartlyDoneError, match="3 nodes are done"):
        node_groups.change(database, "tag", "half", images, "ada", stop)
    assert len(found(database, tagged("half"))) == 3 < count
    # Somebody else goes on with the same: it tells what was left.
    assert node_groups.change(database, "tag", "half", images, "bob") == count - 3


def test_edges_of_trees_and_unknown_ones_are_not_removed(world: World, database: Database):
    forms = "SELECT description FROM relationship WHERE forms_tree AND action_id = 0 LIMIT 1"
    with database.reading() as connection:
        row = connection.execute(forms).fetchone()
    assert row is not None
    keys = [one.key for one in database.explore.page(parse_selector("version: 1"), limit=2)]
    for word in (row[0], "nobody knows"):
        edge = RemovedEdge(parent=keys[0], child=keys[1], relationship=word)
        with pytest.raises(UsageError, match=r"removed_edges\[0\]"):
            database.apply_intent(WriteIntent(intent_id=f"off-{word}", removed_edges=(edge,)))
    node_groups.create(database, "C", "ada")
    ends = {"parent": keys[0], "child": keys[1], "relationship": "member"}
    gone, there = RemovedEdge(**ends), Edge(**ends)
    both = WriteIntent(intent_id="both", removed_edges=(gone,), edges=(there,))
    assert database.apply_intent(both).edges_new == 1
    off = WriteIntent(intent_id="off", removed_edges=(gone,))
    assert database.apply_intent(off).edges_removed == 1
    assert database.apply_intent(off).repeated
