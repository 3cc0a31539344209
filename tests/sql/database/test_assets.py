"""Assets: listed page by page, and described by people, whose words are kept."""

from __future__ import annotations

import json

import pytest
from selector_world import World, insert_world, make_world
from test_sql_node_cli import Shell, shell

from base.errors import UsageError
from base.operations.operation import Caller
from sql import Database
from sql.core.errors import NotFoundError
from sql.database import assets, node_groups
from sql.operations import assets as operations
from sql.operations.place import Place
from sql.rights.grant_book import NewGrant
from sql.selector.document import parse_selector

__all__ = ["shell"]

HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2g"
OTO = Caller("oto", "operator")


@pytest.fixture
def world(database: Database) -> World:
    made = make_world(11)
    insert_world(database, made)
    return made


def first(database: Database) -> str:
    return assets.page(database, None, 1).assets[0].system_id


def count(database: Database, where: str) -> int:
    return database.aggregate(parse_selector(f"version: 1\nwhere: {where}\n")).count


def test_pages_have_every_asset_once(database: Database, world: World):
    wanted = count(database, "{is_physical: true}")
    found: list[str] = []
    cursor: int | None = None
    while True:
        page = assets.page(database, cursor, 7)
        found += [one.system_id for one in page.assets]
        if (cursor := page.next) is None:
            break
    assert wanted > 7 and len(found) == len(set(found)) == wanted


def test_what_people_say_is_kept_and_the_last_counts(
    shell: Shell, database: Database, world: World
):
    key = first(database)
    assert assets.asset(database, key).metadata == {}, "nobody said anything of any"
    place = Place("", lambda: database)

    def say(said: dict, caller: Caller = OTO) -> dict:
        asked = operations.DescribeRequest(key=key, metadata=said)
        return operations.describe(place, caller, asked).metadata

    assert say({"title": "A gull", "seen": 3}) == {"title": "A gull", "seen": 3}
    assert assets.asset(database, key).title == "A gull"
    assert say({"seen": None, "by": {"who": "ann"}}, Caller("ada", "admin")) == {
        "title": "A gull", "by": {"who": "ann"},
    }  # fmt: skip
    assert say({"seen": 3})["seen"] == 3, "the same is said again, after something else"
    has = '{source: people, columns: {said: {has: {by: {who: "ann"}}}}}'
    assert count(database, f"{{source_metadata: {has}}}") == 1
    asked = operations.DescribeRequest(key=key, metadata={"only": [1, {"x": None}]})
    assert operations.replace(place, OTO, asked).metadata == {"only": [1, {"x": None}]}
    assert say({"more": "words"}) == {"only": [1, {"x": None}], "more": "words"}
    rows = database.explore.node(key).declared["meta_people"]
    assert [(row["user"], row["act"]) for row in rows] == [
        ("oto", "describe"), ("ada", "describe"), ("oto", "describe"), ("oto", "replace"),
        ("oto", "describe"),
    ]  # fmt: skip
    selector = parse_selector(f'version: 1\nwhere: {{key: "{key}"}}\n')
    node_groups.change(database, "tag", "Bird", selector, "oto")
    node_groups.create(database, "Walls", "oto")
    node_groups.change(database, "add", "Walls", selector, "oto")
    shown = json.loads(shell.run("asset", "show", key, "--json").stdout)
    assert (shown["tags"], shown["collections"]) == (["bird"], ["Walls"])
    assert "meta_people" in shown["schemas"] and shown["metadata"]["more"] == "words"
    told = json.loads(shell.run("asset", "describe", key, "--set", "wet=true", "--json").stdout)
    assert told["metadata"]["wet"] is True


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "at least one field"),
        ({"a": "x" * (64 << 10)}, "at most 65,536 bytes"),
        ({"a": float("nan")}, "no JSON"),
        ({"a": "\ud800"}, "no JSON"),
        ({"a": ["\0"]}, "NUL"),
        ({"title": "x" * 4_097}, "a title has at most 4,096"),
    ],
)
def test_what_no_column_holds_is_refused(database: Database, world: World, said: dict, why: str):
    key = first(database)
    with pytest.raises(UsageError, match=why):
        assets.describe(database, key, said, "oto", replaces=False)
    deep: dict = {}
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(UsageError, match="nested deeper than 32"):
        assets.describe(database, key, deep, "oto", replaces=True)
    assert assets.asset(database, key).metadata == {}


def test_what_has_no_bytes_is_no_asset(database: Database, world: World):
    with database.reading() as connection:
        row = connection.execute(
            "SELECT encode(sha256, 'hex') FROM node WHERE NOT is_physical LIMIT 1"
        ).fetchone()
    assert row is not None
    with pytest.raises(NotFoundError, match="has no bytes"):
        assets.asset(database, row[0])
    with pytest.raises(NotFoundError, match="there is no node"):
        assets.asset(database, "0" * 64)


def test_a_guest_sees_what_was_granted_and_not_what_others_said(database: Database, world: World):
    given, other = (one.system_id for one in assets.page(database, None, 2).assets)
    bob = database.users.add("bob", "guest", HASH).user_id
    for key in (given, other):
        assets.describe(database, key, {"secret": "words of the house"}, "oto", replaces=False)
    database.rights.add(NewGrant(level="viewer", granted_by="ada", account="bob", node=given))
    database.read_rights()
    view = Place("", lambda: database).seen_by(Caller("bob", "guest", bob)).database
    seen = [one.system_id for one in assets.page(view, None, 500).assets]
    assert given in seen and other not in seen
    shown = assets.asset(view, given)
    assert (shown.metadata, shown.tags) == ({}, [])
    with pytest.raises(NotFoundError):
        assets.asset(view, other)
