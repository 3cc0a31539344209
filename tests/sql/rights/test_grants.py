"""Grants: what they reach, also later, and what they reach no more; and what cannot be granted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from base.errors import UsageError
from base.operations.operation import Caller
from sql import Database
from sql.core.errors import NotFoundError
from sql.database import node_groups
from sql.intent.intent import key_of, load_intent
from sql.operations import rights
from sql.operations.place import Place
from sql.rights import reach
from sql.rights.grant_book import NewGrant
from sql.selector.selector import Condition, Selector

HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2g"
OWNER = Caller("ada", "admin")
CONTAINS = {"description": "contains", "forms_tree": True}
AUTHORED = {"description": "authored", "forms_tree": False}


@pytest.fixture
def ready(database: Database) -> Database:
    """Two posts of an author, each with a picture; the one of the second is in a batch."""
    database.ingests.open("march", adapter="t", user="ada", folder="/march")
    for name in ("bob", "eve"):
        database.users.add(name, "guest", HASH)
    write(database, "one", "t:post:1", "t:pic:1")
    write(database, "two", "t:post:2", "t:pic:2", ingest_batch="march")
    return database


def write(database: Database, intent_id: str, post: str, picture: str, **other: Any) -> None:
    given = {
        "intent_id": intent_id,
        "virtual_nodes": [{"description": one} for one in ("t:user:1", post, picture)],
        "relationships": [CONTAINS, AUTHORED],
        "edges": [
            {"parent": key_of("t:user:1"), "child": key_of(post), "relationship": "authored"},
            {"parent": key_of(post), "child": key_of(picture), "relationship": "contains"},
        ],
    }
    database.apply_intent(load_intent(given | other))


def give(database: Database, **given: Any) -> int:
    whom = {} if "group" in given else {"account": "bob"}
    new = NewGrant(**{"level": "viewer", "granted_by": "ada"} | whom | given)
    grant_id = database.rights.add(new)
    database.read_rights()
    return grant_id


def reached(database: Database, grant_id: int) -> set[str]:
    query = (
        "SELECT description FROM grant_reach JOIN virtual_asset USING (node_id) WHERE grant_id = %s"
    )
    with database.connection() as connection:
        return {name for (name,) in connection.execute(query, [grant_id])}


def node_of(name: str) -> Selector:
    return Selector(version=1, where=Condition.model_validate({"description": [name]}))


def test_a_grant_holds_for_what_lies_below_but_not_for_what_was_authored(ready: Database):
    assert reached(ready, give(ready, node="t:post:1")) == {"t:post:1", "t:pic:1"}
    assert reached(ready, give(ready, node="t:user:1")) == {"t:user:1"}
    assert reached(ready, give(ready, node="t:pic:2")) == {"t:pic:2"}


def test_it_holds_for_what_arrives_later(ready: Database):
    """Below a node, deep down, and in a batch; nobody has to read on."""
    on_post, on_batch = give(ready, node="t:post:1"), give(ready, batch="march")
    assert reached(ready, on_batch) == {"t:user:1", "t:post:2", "t:pic:2"}
    write(ready, "three", "t:post:1", "t:pic:3")
    write(ready, "four", "t:pic:3", "t:crop:1")
    assert reached(ready, on_post) == {"t:post:1", "t:pic:1", "t:pic:3", "t:crop:1"}
    write(ready, "five", "t:post:1", "t:pic:1", ingest_batch="march")
    assert reached(ready, on_batch) == {
        "t:user:1", "t:post:1", "t:post:2", "t:pic:1", "t:pic:2", "t:pic:3", "t:crop:1",
    }  # fmt: skip


@pytest.mark.parametrize("rows", [1, 2, 1_000])
def test_what_is_reached_in_parts_is_all_of_it(ready: Database, rows: int):
    grants = [
        ready.rights.add(NewGrant("viewer", "ada", account="bob", **place))
        for place in ({"batch": "march"}, {"node": "t:post:1"})
    ]
    assert not ready.rights.grant(grants[0]).is_complete
    for _ in range(100):
        if not reach.read_on(ready, rows):
            break
    assert all(ready.rights.grant(one).is_complete for one in grants)
    assert reached(ready, grants[0]) == {"t:user:1", "t:post:2", "t:pic:2"}
    assert reached(ready, grants[1]) == {"t:post:1", "t:pic:1"}


def test_what_leaves_a_collection_is_reached_no_more(ready: Database):
    node_groups.create(ready, "Walls", "ada")
    for name in ("t:post:1", "t:post:2"):
        node_groups.change(ready, "add", "Walls", node_of(name), "ada")
    grant_id = give(ready, node="people:collection:Walls")
    also = give(ready, node="t:pic:1", account="eve")
    everything = {"people:collection:Walls", "t:post:1", "t:pic:1", "t:post:2", "t:pic:2"}
    assert reached(ready, grant_id) == everything
    node_groups.change(ready, "remove", "Walls", node_of("t:post:1"), "ada")
    assert reached(ready, grant_id) == everything - {"t:post:1", "t:pic:1"}
    assert reached(ready, also) == {"t:pic:1"}, "reached otherwise"


def test_what_was_taken_back_takes_no_room(ready: Database):
    grant_id = give(ready, node="t:post:1")
    ready.rights.revoke(grant_id)
    assert not ready.rights.grant(grant_id).is_live
    assert ready.rights.grants() == []
    ready.read_rights()
    assert reached(ready, grant_id) == set()
    again = give(ready, node="t:post:1")
    assert again != grant_id
    assert reached(ready, again) == {"t:post:1", "t:pic:1"}


def end(database: Database, grant_id: int, ago: str) -> None:
    with database.connection() as connection:
        connection.execute(
            "UPDATE access_grant SET granted_at = now() - interval '1 day', "
            "expires_at = now() - %s::interval WHERE grant_id = %s",
            [ago, grant_id],
        )


@pytest.mark.parametrize("others", [False, True])
def test_what_has_ended_takes_no_room_and_reaches_nothing_new(ready: Database, others: bool):
    """Whether anything else is granted or not; a link as well as what an account was granted."""
    if others:
        give(ready, node="t:post:2")
    ended = [
        give(ready, node="t:post:1", account=None, secret_hash=b"s" * 32),
        give(ready, node="t:post:1", account="eve"),
        give(ready, batch="march", account="eve"),
    ]
    for grant_id in ended:
        end(ready, grant_id, "2 h")
    write(ready, "three", "t:post:1", "t:pic:3")
    ready.read_rights()
    assert [reached(ready, grant_id) for grant_id in ended] == [set()] * 3
    write(ready, "four", "t:post:1", "t:pic:4", ingest_batch="march")
    ready.read_rights()
    assert [reached(ready, grant_id) for grant_id in ended] == [set()] * 3


def test_what_has_ended_is_granted_anew(ready: Database):
    """All of it, though what it reached was forgotten in part."""
    first = give(ready, node="t:post:1")
    end(ready, first, "2 h")
    reach.read_on(ready, 1)
    again = give(ready, node="t:post:1")
    assert again != first
    assert reached(ready, again) == {"t:post:1", "t:pic:1"}
    assert reached(ready, first) == set()
    assert ready.rights.grant(again).is_live and not ready.rights.grant(first).is_live
    end(ready, again, "1 s")
    assert give(ready, node="t:post:1") != again, "also when it is not yet forgotten"


def test_the_same_again_is_the_same_grant_with_another_end(ready: Database):
    first = give(ready, node="t:post:1")
    end = datetime.now(UTC) + timedelta(days=1)
    assert give(ready, node="t:post:1", expires_at=end) == first
    assert ready.rights.grant(first).expires_at == end


def test_groups_and_why_somebody_sees_a_node(ready: Database):
    place = Place("", lambda: ready)
    assert ready.rights.add_group("friends")
    assert not ready.rights.add_group("friends")
    assert ready.rights.add_member("friends", "eve")
    asked = rights.NewGrantRequest(group="friends", node="t:post:1", level="editor")
    made = rights.add(place, OWNER, asked)
    assert made.is_complete
    (found,) = rights.explain(place, OWNER, rights.Shared(name="t:pic:1")).grants
    assert (found.group, found.level, found.description) == ("friends", "editor", "t:post:1")
    assert found.granted_by == "ada"
    assert rights.explain(place, OWNER, rights.Shared(name="t:pic:2")).grants == []
    (of_eve,) = rights.grants(place, OWNER, rights.GrantFilter(account="eve"))
    assert of_eve.grant_id == made.grant_id
    assert rights.grants(place, OWNER, rights.GrantFilter(account="bob")) == []
    ready.rights.remove_group("friends")
    assert (ready.rights.groups(), ready.rights.grants(include_ended=True)) == ([], [])
    assert reached(ready, made.grant_id) == set()


def test_who_may_see_what_is_told_as_it_changes(ready: Database):
    """To the one subject that it is about, and nothing of what changed nothing."""
    _, before = ready.events.feed(0)
    end = datetime.now(UTC) + timedelta(days=1)
    ready.rights.add_group("friends")
    on_node = give(ready, node="t:post:1", expires_at=end)
    on_batch = give(ready, batch="march", group="friends", level="editor")
    for _ in range(2):
        ready.rights.add_member("friends", "eve")
    ready.rights.remove_member("friends", "eve")
    ready.rights.revoke(on_node)
    for refused in (
        lambda: ready.rights.revoke(on_node),
        lambda: ready.rights.remove_member("friends", "eve"),
        lambda: give(ready, node="t:post:9"),
    ):
        with pytest.raises(NotFoundError):
            refused()
    ready.rights.remove_group("friends")
    found, _ = ready.events.feed(before)
    assert {one.type for one in found} == {"permission.changed"}
    of_eve = {"group": "friends", "account": "eve"}
    of_bob = {
        "grant_id": on_node, "account": "bob", "node": key_of("t:post:1"), "level": "viewer",
        "granted_by": "ada", "expires_at": end.isoformat(),
    }  # fmt: skip
    of_friends = {"grant_id": on_batch, "group": "friends", "batch": "march", "level": "editor"}
    assert [(one.subject, one.data) for one in found] == [
        ("account bob", of_bob | {"change": "granted"}),
        ("group friends", of_friends | {"change": "granted", "granted_by": "ada"}),
        ("account eve", of_eve | {"change": "joined"}),
        ("account eve", of_eve | {"change": "left"}),
        ("account bob", of_bob | {"change": "revoked"}),
        ("group friends", {"group": "friends", "change": "removed"}),
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"account": "nobody", "node": "t:post:1"}, "no user 'nobody'"),
        ({"group": "none", "node": "t:post:1"}, "no group 'none'"),
        ({"account": "bob", "node": "t:post:9"}, "no node 't:post:9'"),
        ({"account": "bob", "collection": "None"}, "no node 'people:collection:None'"),
        ({"account": "bob", "batch": "none"}, "no ingest batch 'none'"),
        ({"account": "bob"}, "say what is granted"),
        ({"account": "bob", "node": "1", "collection": "Walls"}, "say what is granted"),
        ({"node": "t:post:1"}, "say to whom"),
        ({"account": "bob", "group": "none", "node": "t:post:1"}, "say to whom"),
        ({"account": "bob", "node": "1", "until": datetime(2020, 1, 1, tzinfo=UTC)}, "is past"),
        ({"account": "bob", "node": "1", "until": datetime(2999, 1, 1)}, "has a zone"),
    ],
)
def test_what_cannot_be_granted(ready: Database, given: dict[str, Any], words: str):
    with pytest.raises((UsageError, NotFoundError), match=words):
        rights.add(Place("", lambda: ready), OWNER, rights.NewGrantRequest(**given))
    assert ready.rights.grants(include_ended=True) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "say what is shared"),
        ({"node": "t:post:1", "collection": "Walls"}, "say what is shared"),
        ({"node": "t:post:9"}, "no node 't:post:9'"),
        ({"node": "t:post:1", "until": datetime(2020, 1, 1, tzinfo=UTC)}, "is past"),
        ({"node": "t:post:1", "until": datetime(2999, 1, 1)}, "has a zone"),
    ],
)
def test_what_cannot_be_shared_by_a_link(ready: Database, given: dict[str, Any], words: str):
    asked = rights.NewLink(**{"until": datetime(2999, 1, 1, tzinfo=UTC)} | given)
    with pytest.raises((UsageError, NotFoundError), match=words):
        rights.link(Place("", lambda: ready), OWNER, asked)
    assert ready.rights.grants(include_ended=True) == []


def test_what_cannot_be_taken_back_or_be_a_group(ready: Database):
    with pytest.raises(NotFoundError, match="no grant 7"):
        ready.rights.revoke(7)
    with pytest.raises(UsageError, match="cannot be a name"):
        ready.rights.add_group("Not A Name")
    with pytest.raises(NotFoundError, match="not in the group"):
        ready.rights.remove_member("friends", "bob")
