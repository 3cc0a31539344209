"""What guests grant to others: at most what they have, for as long as they have it, no further."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_grants import HASH, give, write

from base.errors import UsageError
from base.operations.operation import Caller
from sql import Database
from sql.core.errors import GuestError, NotFoundError
from sql.database.guest_view import GuestView
from sql.operations import rights
from sql.operations.place import Place
from sql.rights import grant_book
from sql.rights.grant_book import NewGrant

NODES = "SELECT description FROM node JOIN virtual_asset USING (node_id) ORDER BY 1"
POST = ["t:pic:1", "t:post:1"]


@pytest.fixture
def ready(database: Database) -> Database:
    """Bob, who may share the first post, eve, who is in a group with him, and mallory."""
    for name in ("bob", "eve", "mallory"):
        database.users.add(name, "guest", HASH)
    for group in ("friends", "others"):
        database.rights.add_group(group)
    for name in ("bob", "eve"):
        database.rights.add_member("friends", name)
    database.ingests.open("march", adapter="t", user="ada", folder="/march")
    write(database, "one", "t:post:1", "t:pic:1", ingest_batch="march")
    write(database, "two", "t:post:2", "t:pic:2")
    return database


def caller(database: Database, name: str) -> Caller:
    return Caller(name, "guest", database.users.user(name).user_id)


def ask(database: Database, one: Any, request: Any, name: str = "bob") -> Any:
    return one(Place("", lambda: database), caller(database, name), request)


def share(database: Database, name: str = "bob", **given: Any) -> int:
    asked = {"account": "eve", "node": "t:post:1"} | given
    return ask(database, rights.add, rights.NewGrantRequest(**asked), name).grant_id


def seen(database: Database, name: str, right: Any = "view") -> list[str]:
    view: GuestView = database.seen_by(database.users.user(name).user_id, right)
    with view.reading() as connection:
        return [row[0] for row in connection.execute(NODES)]


def test_a_guest_shares_what_that_guest_has(ready: Database):
    give(ready, node="t:post:1", level="owner")
    number = share(ready, level="export")
    assert seen(ready, "eve") == seen(ready, "eve", "export") == POST
    assert seen(ready, "eve", "delete") == []
    share(ready, account=None, group="friends", level="viewer")
    (given,) = [one for one in ready.rights.grants() if one.grant_id == number]
    assert (given.granted_by, given.account, given.level) == ("bob", "eve", "export")
    ask(ready, rights.remove, rights.OneGrant(grant_id=number))
    assert seen(ready, "eve", "export") == []
    assert seen(ready, "eve") == POST, "by the group still"


@pytest.mark.parametrize(
    "way",
    ["revoked", "ended", "disabled", "left", "lost share", "lost export", "left the collection"],
)
def test_it_holds_no_longer_than_what_the_guest_has(ready: Database, way: str):
    """At the next question, though what was shared is neither taken back nor ended."""
    ready.rights.add_group("sharers")
    ready.rights.add_member("sharers", "bob")
    may_share = give(ready, node="t:post:1", level="share", group="sharers")
    may_export = give(ready, node="t:post:1", level="export")
    share(ready, level="export")
    assert seen(ready, "eve", "export") == POST
    if way == "revoked":
        ready.rights.revoke(may_share)
        ready.rights.revoke(may_export)
    elif way == "ended":
        with ready.connection() as connection:
            connection.execute(
                "UPDATE access_grant SET granted_at = now() - interval '2 s', "
                "expires_at = now() - interval '1 s' WHERE grant_id = %s",
                [may_export],
            )
    elif way == "disabled":
        ready.users.set_disabled("bob", is_disabled=True)
    elif way == "left":
        ready.rights.remove_member("sharers", "bob")
    elif way == "lost share":
        ready.rights.revoke(may_share)
    elif way == "lost export":
        ready.rights.revoke(may_export)
    else:
        with ready.connection() as connection:
            connection.execute("DELETE FROM grant_reach WHERE grant_id = %s", [may_share])
    assert seen(ready, "eve") == seen(ready, "eve", "export") == []
    (given,) = [one for one in ready.rights.grants(include_ended=True) if one.account == "eve"]
    assert given.revoked_at is None and not given.is_live


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"level": "editor"}, GuestError, "editor is more than you may share; you have export"),
        ({"level": "delete"}, GuestError, "more than you may share"),
        ({"level": "share"}, GuestError, "more than you may share"),
        ({"level": "owner"}, GuestError, "more than you may share"),
        ({"with_metadata": True}, GuestError, "no metadata of others"),
        ({"node": None, "batch": "march"}, UsageError, "guests share nodes and collections"),
        ({"node": "t:post:2"}, NotFoundError, "no node 't:post:2'"),
        ({"node": "t:post:9"}, NotFoundError, "no node 't:post:9'"),
        ({"account": "mallory"}, NotFoundError, "you know nobody of the name 'mallory'"),
        ({"account": "nobody"}, NotFoundError, "you know nobody of the name 'nobody'"),
        ({"account": None, "group": "others"}, NotFoundError, "you know nobody of the name"),
        ({"account": None}, UsageError, "say to whom"),
        ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, UsageError, "is past"),
    ],
)
def test_what_a_guest_cannot_share(
    ready: Database, given: dict[str, Any], error: type[Exception], words: str
):
    give(ready, node="t:post:1", level="share")
    give(ready, node="t:post:1", level="export")
    with pytest.raises(error, match=words):
        share(ready, **given)
    assert [one for one in ready.rights.grants() if one.account != "bob"] == []


def test_nobody_shares_what_a_guest_shared(ready: Database):
    give(ready, node="t:post:1", level="owner")
    share(ready, level="editor")
    with pytest.raises(NotFoundError, match="no node"):
        share(ready, "eve", account="bob", level="viewer")
    assert seen(ready, "eve", "share") == []


def test_a_guest_changes_no_grant_of_others(ready: Database):
    """Nor is one that an operator gave another, when a guest grants the same."""
    end = datetime.now(UTC) + timedelta(days=1)
    first = give(ready, node="t:post:1", level="viewer", account="eve", expires_at=end)
    own = give(ready, node="t:post:1", level="owner")
    second = share(ready, level="viewer")
    assert second != first
    assert ready.rights.grant(first).expires_at == end
    assert share(ready, level="viewer", until=end) == second
    for grant_id in (first, own, 99):
        with pytest.raises(NotFoundError):
            ask(ready, rights.remove, rights.OneGrant(grant_id=grant_id))
    assert ready.rights.grant(first).is_live and ready.rights.grant(own).is_live


def test_a_guest_is_told_of_grants_to_and_by_that_guest_alone(ready: Database):
    give(ready, node="t:post:1", level="owner")
    give(ready, node="t:post:1", account="mallory")
    share(ready)
    listed = ask(ready, rights.grants, rights.GrantFilter())
    assert [(one.account, one.granted_by) for one in listed] == [("bob", ""), ("eve", "bob")]
    explained = ask(ready, rights.explain, rights.Shared(name="t:pic:1"))
    assert explained.staff == [] and explained.grants == listed
    assert [one.level for one in ask(ready, rights.grants, rights.GrantFilter(), "eve")] == [
        "viewer"
    ]
    with pytest.raises(NotFoundError, match="no node"):
        ask(ready, rights.explain, rights.Shared(name="t:post:2"))


def test_a_guest_links_what_may_be_shared(ready: Database):
    give(ready, node="t:post:1", level="share")
    until = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(GuestError, match="export is more than you may share"):
        ask(ready, rights.link, rights.NewLink(node="t:post:1", until=until))
    made = ask(ready, rights.link, rights.NewLink(node="t:post:1", until=until, level="viewer"))
    secret = made.path.rpartition("/")[2]
    assert ready.shared_by(secret).holds()
    assert not ready.shared_by(secret, "export").holds()
    ready.rights.revoke(min(one.grant_id for one in ready.rights.grants(account="bob")))
    assert not ready.shared_by(secret).holds()


def test_a_guest_grants_so_much_at_a_time(ready: Database, monkeypatch: pytest.MonkeyPatch):
    """Links, too; what was taken back counts until what it reached is forgotten."""
    monkeypatch.setattr(grant_book, "GIVEN_MAX", 3)
    give(ready, node="t:post:1", level="owner")
    until = datetime.now(UTC) + timedelta(days=1)
    new = rights.NewLink(node="t:post:1", until=until, level="viewer")
    first = share(ready, level="viewer")
    ask(ready, rights.link, new)
    second = ask(ready, rights.link, new).grant_id
    assert share(ready, level="viewer", until=until) == first, "the same is no more"
    for one in (new, new):
        with pytest.raises(GuestError, match="at most 3 things at a time: take back some"):
            ask(ready, rights.link, one)
    with pytest.raises(GuestError, match="at most 3"):
        share(ready, level="export")
    ready.read_rights()
    ready.rights.revoke(second)
    with pytest.raises(GuestError, match="until its room is free"):
        ask(ready, rights.link, new)
    ready.read_rights()
    ask(ready, rights.link, new)
    give(ready, node="t:post:2", account="eve")
    assert len(ready.rights.grants()) == 5, "an operator grants on"


def test_rights_on_a_node_are_all_that_were_granted(ready: Database):
    view = ready.seen_by(ready.users.user("bob").user_id)
    key = ready.explore.node("t:post:1").node["key"]
    assert view.rights_on(key) == ()
    give(ready, node="t:post:1", level="share")
    give(ready, batch="march", level="editor")
    assert view.rights_on(key) == ("analyze", "export", "share", "view")
    assert view.rights_on("0" * 64) == ()
    assert ready.rights.has_right(ready.users.user("bob").user_id, "share")
    assert not ready.rights.has_right(ready.users.user("bob").user_id, "api")


def test_a_new_grant_is_said_with_its_giver(ready: Database):
    give(ready, node="t:post:1", level="owner")
    share(ready)
    found, _ = ready.events.feed(0)
    (told,) = [one for one in found if one.subject == "account eve" and "level" in one.data]
    assert (told.type, told.data["granted_by"]) == ("permission.changed", "bob")
    assert NewGrant("viewer", "ada").given_by is None
