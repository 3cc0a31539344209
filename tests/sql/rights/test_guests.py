"""What a guest reads: what was granted, at this moment, and nothing of any other table."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from test_grants import HASH, give, write

from sql import Column, Database, DeclaredTable
from sql.core import guest_turns, guests, transactions
from sql.core.connections import CONNECTIONS_MAX
from sql.core.errors import (
    BusyError,
    GuestError,
    NotFoundError,
    QueryTimeoutError,
    SelectorError,
    StatementError,
)
from sql.core.guests import Guest
from sql.database.guest_view import GuestView
from sql.datasets import explore_book
from sql.intent.intent import key_of
from sql.selector import select
from sql.selector.selector import Condition, Selector

TABLE = DeclaredTable(
    kind="source", name="t", version=1, comment="A source of tests",
    columns=(Column(name="secret", type="text", comment="Something said"),),
)  # fmt: skip
VOCABULARY = {"file_type", "source", "relationship", "action", "declared_table"}


@pytest.fixture
def ready(database: Database) -> Database:
    """The posts of test_grants, two batches that say different things, bob and eve."""
    database.declare(TABLE)
    for batch in ("march", "april"):
        database.ingests.open(batch, adapter="t", user="ada", folder="/" + batch)
    for name in ("bob", "eve"):
        database.users.add(name, "guest", HASH)
    write(
        database,
        "one",
        "t:post:1",
        "t:pic:1",
        **said("t:post:1", "march says"),
        ingest_batch="march",
    )
    write(
        database,
        "two",
        "t:post:2",
        "t:pic:2",
        **said("t:post:2", "april says"),
        ingest_batch="april",
    )
    write(
        database,
        "three",
        "t:post:1",
        "t:pic:1",
        **said("t:post:1", "april adds"),
        ingest_batch="april",
    )
    write(database, "four", "t:post:1", "t:pic:1", **said("t:post:1", "before batches"))
    return database


def said(post: str, title: str) -> dict[str, Any]:
    key = key_of(post)
    return {
        "common_metadata": [{"key": key, "source": "t", "is_root": True, "title": title}],
        "source_metadata": [{"key": key, "source": "t", "values": {"secret": title}}],
    }


def view(database: Database, account: str = "bob", right: str = "view") -> GuestView:
    return GuestView(database, Guest(right, database.users.user(account).user_id))


def asked(database: Database, query: str, account: str = "bob", right: str = "view") -> list[Any]:
    with view(database, account, right).reading() as connection:
        return [row[0] for row in connection.execute(query.encode())]


READABLE = """
    SELECT relname, relkind, relrowsecurity, ARRAY(
        SELECT polname || ' ' || polroles::regrole[]::text FROM pg_policy
        WHERE polrelid = class.oid ORDER BY 1
    )
    FROM pg_class AS class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
        AND has_any_column_privilege('drystone_guest', oid, 'SELECT, INSERT, UPDATE, REFERENCES')
"""
HIDDEN_FROM_STAFF = """
    SELECT count(*) FROM pg_class WHERE relrowsecurity AND NOT EXISTS (
        SELECT FROM pg_policies
        WHERE tablename = relname AND policyname = 'staff' AND qual = 'true'
    )
"""
NODES = "SELECT description FROM node JOIN virtual_asset USING (node_id) ORDER BY 1"
TITLES = "SELECT title FROM common_metadata ORDER BY 1"
SECRETS = "SELECT secret FROM meta_t ORDER BY 1"


def test_every_table_that_guests_may_read_has_its_policy(ready: Database):
    """New tables are none of theirs, and declared ones get a policy with their declaration."""
    ready.declare(TABLE.model_copy(update={"name": "later"}))
    ready.declare(TABLE.model_copy(update={"name": "found", "kind": "action"}))
    with ready.connection() as connection:
        connection.execute("CREATE TABLE of_tomorrow (secret text)")
        readable = connection.execute(READABLE).fetchall()
        true = connection.execute(
            "SELECT tablename FROM pg_policies WHERE policyname = 'guest' AND qual = 'true'"
        ).fetchall()
        staff = connection.execute(HIDDEN_FROM_STAFF).fetchone()
    for name, kind, is_secured, policies in readable:
        assert kind == "r", f"{name} is no table, so its owner's rights would count"
        assert is_secured, name
        assert policies == ["guest {drystone_guest}", "staff {drystone_reader}"], name
    names = {name for name, *_ in readable}
    assert {"node", "common_metadata", "meta_t", "meta_later", "result_found"} <= names
    assert not names & {
        "app_user",
        "api_token",
        "user_session",
        "access_grant",
        "of_tomorrow",
        "run",
    }
    assert {name for (name,) in true} == VOCABULARY
    assert staff == (0,)


def test_guests_see_what_was_granted_and_staff_all(ready: Database):
    assert asked(ready, NODES) == []
    give(ready, node="t:post:1")
    assert asked(ready, NODES) == ["t:pic:1", "t:post:1"]
    assert asked(ready, "SELECT count(*) FROM edge") == [1], (
        "the author is hidden, and so is the edge"
    )
    assert asked(ready, NODES, "eve") == []
    with ready.reading() as connection:
        assert len(connection.execute(NODES).fetchall()) == 5
        assert len(connection.execute(TITLES).fetchall()) == 4


def test_policies_take_no_index_from_staff(ready: Database):
    """Searching is not leakproof, so a policy with a condition would read the whole table."""
    with ready.reading() as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        plan = connection.execute(
            "EXPLAIN SELECT FROM node_words WHERE words @@ 'castle'::tsquery"
        ).fetchall()
    assert "node_words_words" in str(plan)


def test_what_was_said_is_seen_with_its_batch(ready: Database):
    give(ready, node="t:post:1")
    assert (asked(ready, TITLES), asked(ready, SECRETS)) == ([], [])
    on_march = give(ready, batch="march")
    assert (asked(ready, TITLES), asked(ready, SECRETS)) == (["march says"], ["march says"])
    assert asked(ready, "SELECT name FROM ingest_batch") == ["march"]
    ready.rights.revoke(on_march)
    assert asked(ready, TITLES) == []
    give(ready, node="t:post:1", with_metadata=True)
    known = ["april adds", "march says"]
    assert (asked(ready, TITLES), asked(ready, SECRETS)) == (known, known)


def test_taking_back_ends_and_disabling_hold_at_the_next_question(ready: Database):
    """Though what the grants reached is still noted."""
    first = give(ready, node="t:post:1")
    ready.rights.revoke(first)
    assert asked(ready, NODES) == []
    give(ready, node="t:post:1", expires_at=datetime.now(UTC) + timedelta(days=1))
    assert asked(ready, NODES) == ["t:pic:1", "t:post:1"]
    with ready.connection() as connection:
        connection.execute(
            "UPDATE access_grant SET granted_at = now() - interval '2 s', "
            "expires_at = now() - interval '1 s'"
        )
    assert asked(ready, NODES) == []
    ready.rights.add_group("friends")
    ready.rights.add_member("friends", "bob")
    give(ready, node="t:post:2", group="friends")
    assert asked(ready, NODES) == ["t:pic:2", "t:post:2"]
    ready.rights.remove_member("friends", "bob")
    assert asked(ready, NODES) == []
    ready.rights.add_member("friends", "bob")
    ready.users.set_disabled("bob", is_disabled=True)
    assert asked(ready, NODES) == []


def test_a_single_right_shows_its_nodes_to_who_asks_by_it(ready: Database):
    give(ready, node="t:post:1", level="export")
    give(ready, node="t:post:2", level="owner")
    assert asked(ready, NODES) == ["t:pic:1", "t:pic:2", "t:post:1", "t:post:2"]
    assert asked(ready, NODES, right="export") == asked(ready, NODES)
    assert asked(ready, NODES, right="api") == ["t:pic:2", "t:post:2"]
    assert asked(ready, NODES, right="nothing") == []


@pytest.mark.parametrize("table", ["app_user", "api_token", "access_grant", "label_answer", "run"])
def test_other_tables_are_refused(ready: Database, table: str):
    give(ready, node="t:post:1")
    with pytest.raises(GuestError, match="cannot ask for this"):
        asked(ready, f"SELECT count(*) FROM {table}")


def test_guests_change_nothing(ready: Database):
    give(ready, node="t:post:1", level="owner")
    with pytest.raises(GuestError, match="only look"):
        view(ready).users.users()
    with pytest.raises(StatementError, match="only reads"), view(ready).reading() as connection:
        connection.execute("DELETE FROM node")


def test_a_node_that_is_hidden_is_not_there(ready: Database):
    give(ready, node="t:post:1")
    assert view(ready).explore.node("t:pic:1").parents[0]["description"] == "t:post:1"
    for name in ("t:post:2", "t:post:9"):
        with pytest.raises(NotFoundError, match=f"no node '{name}'"):
            view(ready).explore.node(name)
    view(ready).check_sees(key_of("t:pic:1"))
    with pytest.raises(NotFoundError):
        view(ready).check_sees(key_of("t:pic:2"))


def test_relatives_that_are_hidden_change_nothing_of_what_is_shown(ready: Database):
    """No root, no depth, no component, no count and no place among those that are hidden."""
    give(ready, node="t:pic:1")
    give(ready, node="t:user:1")
    shown = [(name, view(ready).explore.node(name)) for name in ("t:pic:1", "t:user:1")]
    write(ready, "five", "t:album:0", "t:post:1")
    write(ready, "six", "t:post:1", "t:pic:0")
    write(ready, "seven", "t:album:0", "t:pic:2")
    assert [(name, view(ready).explore.node(name)) for name, _ in shown] == shown
    staff = ready.explore.node("t:pic:1").node
    assert staff["depth"] == 2 and {*staff} - {*shown[0][1].node} == {
        "root_id", "component_id", "depth",
    }  # fmt: skip


@pytest.mark.parametrize(
    "condition",
    [
        {"depth": 1},
        {"is_tree_root": False},
        {"tree_root": {"where": {"is_virtual": True}}},
        {"same_tree": {"where": {"is_virtual": True}}},
        {"same_component": {"where": {"is_virtual": True}}},
    ],
)
def test_guests_do_not_select_by_what_relatives_make(ready: Database, condition: dict[str, Any]):
    give(ready, node="t:pic:1")
    chosen = Selector(version=1, where=Condition.model_validate(condition))
    with ready.reading() as connection:
        select.aggregate(connection, chosen)
    with (
        pytest.raises(GuestError, match="cannot ask for this"),
        view(ready).reading() as connection,
    ):
        select.aggregate(connection, chosen)


def test_a_place_is_told_where_those_before_are_shown(ready: Database):
    edges = [
        {"parent": key_of(parent), "child": key_of(child), "relationship": word, "position": 7}
        for parent, child, word in (
            ("t:user:1", "t:post:3", "authored"), ("t:post:3", "t:pic:3", "contains"),
        )
    ]  # fmt: skip
    write(ready, "five", "t:post:3", "t:pic:3", edges=edges)
    give(ready, node="t:user:1")
    give(ready, node="t:post:3")
    report = view(ready).explore.node("t:post:3")
    assert [one["position"] for one in report.children] == [7]
    assert [one["position"] for one in report.parents] == [None]
    assert [one["position"] for one in ready.explore.node("t:post:3").parents] == [7]


def test_where_no_role_can_be_made_guests_are_refused(ready: Database, database_url: str):
    """The user of the database may neither make roles nor is it in ours."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        role = f"plain_{connection.info.backend_pid}"
        connection.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(role)))
        try:
            connection.execute(SQL("SET SESSION AUTHORIZATION {}").format(Identifier(role)))
            assert not guests.ensure_guests(connection)
            connection.execute("RESET SESSION AUTHORIZATION")
        finally:
            connection.execute("RESET SESSION AUTHORIZATION")
            connection.execute(SQL("DROP ROLE {}").format(Identifier(role)))
    ready.guest_role = ready.reader_role = False
    with pytest.raises(GuestError, match="cannot be let in"):
        asked(ready, NODES)


def found(database: Database, where: dict[str, Any], account: str = "bob") -> list[str]:
    chosen = Selector(version=1, where=Condition.model_validate(where))
    nodes = view(database, account).explore.page(chosen)
    return sorted(one.description for one in nodes)


def test_guests_find_by_the_words_that_they_see(ready: Database):
    """Titles of batches that were not granted find nothing, nor do people who are hidden."""
    ready.read_words()
    assert found(ready, {"words": "march"}) == []
    give(ready, node="t:post:1")
    for words in ("march", "april", "says", "adds", "mar*"):
        assert found(ready, {"words": words}) == [], "the post is shown, its titles are not"
    assert found(ready, {"words": "1"}) == ["t:pic:1", "t:post:1"], "its name is"
    on_march = give(ready, batch="march")
    assert found(ready, {"words": "march"}) == ["t:pic:1", "t:post:1"]
    assert found(ready, {"words": "march says"}) == ["t:pic:1", "t:post:1"]
    assert found(ready, {"words": {"author": "1"}}) == ["t:pic:1", "t:post:1"], "of the batch"
    assert found(ready, {"words": "adds"}) == []
    assert found(ready, {"not": {"words": "march"}}) == ["t:user:1"]
    ready.rights.revoke(on_march)
    assert found(ready, {"words": "march"}) == found(ready, {"words": {"author": "1"}}) == []
    give(ready, node="t:post:1", with_metadata=True)
    assert found(ready, {"words": "adds"}) == ["t:pic:1", "t:post:1"]
    staff = Selector(version=1, where=Condition.model_validate({"words": "says"}))
    assert len(ready.explore.page(staff)) > 2


def test_guests_see_counts_of_what_they_see(ready: Database, monkeypatch: pytest.MonkeyPatch):
    give(ready, batch="march")
    facets = view(ready).explore.facets(Selector(version=1))
    assert (facets.nodes, facets.is_part) == (3, False)
    assert [(one.value, one.nodes) for one in facets.ingest_batch] == [("march", 3)]
    assert [(one.value, one.nodes) for one in facets.source] == [("t", 1)]
    assert view(ready, "eve").explore.facets(Selector(version=1)).nodes == 0
    monkeypatch.setattr(explore_book, "GUEST_FACET_NODES_MAX", 2)
    facets = view(ready).explore.facets(Selector(version=1))
    assert (facets.nodes, facets.is_part) == (2, True)
    assert ready.explore.facets(Selector(version=1)).is_part is False


def test_no_guest_is_told_what_a_question_costs(ready: Database):
    """It would say how much there is that is hidden."""
    every = Selector(version=1)
    with ready.reading() as connection, pytest.raises(SelectorError, match="the planner expects"):
        select.aggregate(connection, every, cost_max=0)
    with view(ready).reading() as connection:
        assert select.aggregate(connection, every, cost_max=0).count == 0


def test_no_policy_reads_all_that_a_guest_sees_for_one_row(ready: Database):
    """A hashed subplan would: with millions granted, a page would take seconds."""
    give(ready, batch="march", with_metadata=True)
    with ready.connection() as connection:
        connection.execute("ANALYZE")
        policies = connection.execute(
            "SELECT tablename, qual FROM pg_policies WHERE policyname = 'guest'"
        ).fetchall()
    for table, condition in policies:
        if table == "event":
            continue  # It is looked up among batches, which are few.
        assert condition.count("EXISTS") == condition.count("OFFSET 0"), (table, condition)
    with view(ready).reading() as connection:
        for table in ("node", "edge", "common_metadata", "meta_t", "virtual_asset"):
            column = "edge_id" if table == "edge" else "node_id"
            plan = connection.execute(f"EXPLAIN SELECT {column} FROM {table}".encode()).fetchall()
            assert "hashed" not in str(plan), (table, plan)


def test_guests_find_no_place_that_they_are_not_told(ready: Database):
    columns = tuple(
        Column(name=name, type="double precision", comment="Degrees")
        for name in ("latitude", "longitude")
    )
    ready.declare(
        DeclaredTable(kind="source", name="atlas", version=1, comment="A", columns=columns)
    )
    key = key_of("t:post:1")
    place = {"key": key, "source": "atlas", "values": {"latitude": 48.1, "longitude": 11.5}}
    write(ready, "atlas", "t:post:1", "t:pic:1", source_metadata=[place], ingest_batch="april")
    near = {"near": {"latitude": 48.0, "longitude": 11.5, "within_km": 50}}
    give(ready, node="t:post:1")
    assert found(ready, near) == []
    staff = Selector(version=1, where=Condition.model_validate(near))
    assert len(ready.explore.page(staff)) == 1
    give(ready, node="t:post:1", with_metadata=True)
    assert found(ready, near) == ["t:post:1"]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_turns, "WAIT_S", 0.1)


@pytest.mark.usefixtures("hurried")
def test_guests_ask_few_questions_at_a_time(ready: Database):
    """By account or link, and all together: the other connections are everybody else's."""
    bob, eve = view(ready), view(ready, "eve")
    with ExitStack() as bobs, ExitStack() as others:
        for _ in range(2):
            bobs.enter_context(bob.reading())
        with pytest.raises(BusyError, match=r"2 questions each, 3 all together\): ask again"):
            asked(ready, NODES, right="export")
        others.enter_context(eve.reading())
        with pytest.raises(BusyError):
            ready.shared_by("anybody").holds()
        for _ in range(CONNECTIONS_MAX - 3):
            others.enter_context(ready.reading())
        bobs.close()
        assert asked(ready, NODES) == []
        assert not ready.shared_by("anybody").holds()


def test_a_question_waits_for_its_turn(ready: Database):
    answered = threading.Event()

    def ask() -> None:
        asked(ready, NODES)
        answered.set()

    waiting = threading.Thread(target=ask)
    with view(ready).reading(), view(ready).reading():
        waiting.start()
        assert not answered.wait(0.2)
    waiting.join(10)
    assert answered.is_set()


def test_what_a_guest_asks_is_cut_off_early(ready: Database, monkeypatch: pytest.MonkeyPatch):
    """And so is a guest who reads on late; nobody else is."""
    assert asked(ready, "SHOW statement_timeout") == ["10s"]
    assert asked(ready, "SHOW idle_in_transaction_session_timeout") == ["1min"]
    with ready.reading() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1min",)
    monkeypatch.setattr(transactions, "GUEST_STATEMENT_TIMEOUT_S", 0.1)
    with pytest.raises(QueryTimeoutError, match=r"longer than 0\.1 s; narrow it$"):
        asked(ready, "SELECT pg_sleep(30)")
