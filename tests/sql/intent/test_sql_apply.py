"""Applying write-intents: what they write, once, and how concurrent and broken ones end."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

import psycopg
import pytest

from base.errors import DrystoneError
from sql import Column, Database, DeclaredTable
from sql.actions.history import (
    create_action_batch,
    record_action_history,
    seal_action_batch,
)
from sql.core.errors import DatabaseUnavailableError, IntentError
from sql.intent.intent import WriteIntent, digest_of, key_of, load_intent
from sql.intent.tree_rebuild import check_derived

NOON = "2024-05-01T12:00:00Z"
FILE = "ab" * 32
POST = key_of("t:post:1")
CONTAINS = {"description": "contains", "forms_tree": True}
AUTHORED = {"description": "authored", "forms_tree": False}
TABLE = DeclaredTable(
    kind="source",
    name="t",
    version=1,
    comment="A source of tests",
    columns=(
        Column(name="likes", type="bigint", comment="Likes"),
        Column(name="tags", type="text[]", comment="Tags"),
        Column(name="score", type="double precision", comment="Score"),
        Column(name="edited", type="timestamptz", comment="Edited"),
        Column(name="day", type="date", comment="Day"),
        Column(name="good", type="boolean", comment="Good"),
        Column(name="word", type="text", comment="Word"),
        Column(name="mark", type="bytea", comment="Mark"),
    ),
)


@pytest.fixture
def ready(database: Database) -> Database:
    database.declare(TABLE)
    return database


def apply(database: Database, intent_id: str, **fields: Any):
    return database.apply_intent(load_intent({"intent_id": intent_id, **fields}))


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def count(database: Database, table: str) -> int:
    return rows(database, f"SELECT count(*) FROM {table}")[0][0]


def virtual(*names: str) -> list[dict[str, str]]:
    return [{"description": name} for name in names]


def file_node(key: str = FILE, **other: Any) -> dict[str, Any]:
    return {"key": key, "size_bytes": 10, "extension": "jpg", **other}


def post_intent(**other: Any) -> dict[str, Any]:
    """A post of an author with one picture, and what is said about them."""
    return {
        "virtual_nodes": virtual("t:user:1", "t:post:1"),
        "physical_nodes": [file_node()],
        "relationships": [CONTAINS, AUTHORED],
        "edges": [
            {"parent": key_of("t:user:1"), "child": POST, "relationship": "authored"},
            {"parent": POST, "child": FILE, "relationship": "contains", "position": 0},
        ],
        "common_metadata": [
            {"key": POST, "source": "t", "is_root": False, "title": "Hello", "view": 5},
        ],
        "source_metadata": [{"key": FILE, "source": "t", "values": {"likes": 3, "tags": ["a"]}}],
        **other,
    }


# ---- What is written -------------------------------------------------------------------------


def test_one_post(ready: Database):
    result = apply(ready, "one", **post_intent())
    assert (result.nodes_new, result.edges_new, result.observations_new) == (3, 2, 2)
    assert not result.repeated
    assert rows(
        ready,
        "SELECT description, is_virtual, is_physical, depth FROM node "
        "JOIN virtual_asset USING (node_id) ORDER BY description",
    ) == [("t:post:1", True, False, 0), ("t:user:1", True, False, 0)]
    assert rows(
        ready,
        "SELECT encode(sha256, 'hex'), file_size_bytes, file_extension, depth FROM node "
        "JOIN physical_content USING (node_id) JOIN file_type USING (file_extension_id)",
    ) == [(FILE, 10, "jpg", 1)]
    assert rows(ready, "SELECT title, view, update_time, is_raw FROM common_metadata") == [
        ("Hello", 5, None, True)
    ]
    assert rows(ready, "SELECT likes, tags, score FROM meta_t") == [(3, ["a"], None)]


def test_the_same_intent_again_does_nothing(ready: Database):
    first = apply(ready, "one", **post_intent())
    again = apply(ready, "one", **post_intent())
    assert again == first.model_copy(update={"repeated": True})
    assert count(ready, "node") == 3


def test_an_id_means_one_thing(ready: Database):
    apply(ready, "one", virtual_nodes=virtual("a"))
    with pytest.raises(IntentError, match="intent_id: 'one' was applied with other content"):
        apply(ready, "one", virtual_nodes=virtual("b"))
    assert count(ready, "node") == 1


def test_the_digest_does_not_depend_on_how_it_is_written():
    document = {"intent_id": "x", **post_intent()}
    document["source_metadata"][0]["values"] = {"tags": ["a"], "likes": 3}
    one = digest_of(load_intent(document))
    document["source_metadata"][0]["values"] = {"likes": 3, "tags": ["a"]}
    assert digest_of(load_intent(json.dumps(document).encode())) == one
    document["flags"] = []
    assert digest_of(load_intent(document)) == one
    document["common_metadata"][0]["view"] = 6
    assert digest_of(load_intent(document)) != one


def test_the_same_content_under_another_id_is_all_known(ready: Database):
    apply(ready, "one", **post_intent())
    again = apply(ready, "two", **post_intent())
    assert (again.nodes_new, again.edges_new, again.observations_new) == (0, 0, 0)
    assert (again.nodes_existing, again.edges_existing, again.observations_existing) == (3, 2, 2)


def test_a_post_scraped_again_keeps_both_observations(ready: Database):
    apply(ready, "one", **post_intent())
    later = post_intent()
    later["common_metadata"][0] |= {"view": 6, "download_time": NOON}
    later["source_metadata"][0]["values"]["likes"] = 4
    assert apply(ready, "two", **later).observations_new == 2
    found = rows(ready, "SELECT view, download_time FROM common_metadata ORDER BY view")
    assert found == [(5, None), (6, datetime(2024, 5, 1, 12, tzinfo=UTC))]
    assert rows(ready, "SELECT likes FROM meta_t ORDER BY id") == [(3,), (4,)]


def test_an_observation_is_the_same_in_any_zone_and_order(ready: Database):
    def one(intent_id: str, time: str, values: dict[str, Any]) -> int:
        common = {"key": POST, "source": "t", "is_root": False, "update_time": time}
        source = {"key": POST, "source": "t", "download_time": time, "values": values}
        nodes = virtual("t:post:1")
        return apply(
            ready,
            intent_id,
            virtual_nodes=nodes,
            common_metadata=[common],
            source_metadata=[source],
        ).observations_new

    assert one("1", NOON, {"likes": 1, "score": 2, "word": None}) == 2
    assert one("2", "2024-05-01T14:00:00+02:00", {"score": 2.0, "likes": 1}) == 0
    assert one("3", NOON, {"likes": 1, "score": 2.5}) == 1


def test_the_same_author_in_two_intents_is_one_node(ready: Database):
    for number in (1, 2):
        post = f"t:post:{number}"
        edge = {"parent": key_of("t:user:1"), "child": key_of(post), "relationship": "authored"}
        apply(
            ready,
            f"batch {number}",
            virtual_nodes=virtual("t:user:1", post),
            relationships=[AUTHORED],
            edges=[edge],
        )
    assert count(ready, "node") == 3
    assert count(ready, "virtual_asset") == 3
    assert len(rows(ready, "SELECT DISTINCT parent_node_id FROM edge")) == 1


def test_text_whose_bytes_are_a_description_is_one_node_of_both_kinds(ready: Database):
    key = key_of("t:user:1")
    apply(ready, "v", virtual_nodes=virtual("t:user:1"))
    assert apply(ready, "p", physical_nodes=[file_node(key, extension="txt")]).nodes_existing == 1
    apply(ready, "p2", physical_nodes=[file_node()])
    assert rows(ready, "SELECT is_virtual, is_physical FROM node ORDER BY node_id") == [
        (True, True),
        (False, True),
    ]
    both = {"virtual_nodes": virtual("x"), "physical_nodes": [file_node(key_of("x"))]}
    assert apply(ready, "both", **both).nodes_new == 1
    assert count(ready, "node WHERE is_virtual AND is_physical") == 2


def test_the_first_extension_stays(ready: Database):
    apply(ready, "1", physical_nodes=[file_node(), file_node(extension="png")])
    apply(ready, "2", physical_nodes=[file_node(extension="webp")])
    found = "SELECT file_extension FROM physical_content JOIN file_type USING (file_extension_id)"
    assert rows(ready, found) == [("jpg",)]


def test_rows_that_come_twice_in_one_intent(ready: Database):
    doubled = {
        name: value * 2 if isinstance(value, list) else value
        for name, value in post_intent().items()
    }
    result = apply(ready, "one", **doubled)
    assert (result.nodes_new, result.nodes_existing) == (3, 0)
    assert (result.edges_new, result.edges_existing) == (2, 2)
    assert (result.observations_new, result.observations_existing) == (2, 2)


def test_an_empty_intent_is_recorded(ready: Database):
    assert apply(ready, "empty").nodes_new == 0
    assert apply(ready, "empty").repeated


def test_two_intents_in_one_transaction(ready: Database):
    from sql.intent.apply import apply_intent

    with ready.connection() as connection, connection.transaction():
        for intent_id in ("one", "two"):
            intent = load_intent({"intent_id": intent_id, **post_intent()})
            apply_intent(connection, intent)
    assert count(ready, "write_intent") == 2


def test_every_type_of_column(ready: Database):
    values = {
        "likes": 2**63 - 1,
        "tags": ["a", "", "雨", "'; DROP TABLE node; --"],
        "score": 5,
        "edited": "2024-05-01T14:00:00+02:00",
        "day": "2024-05-01",
        "good": False,
        "word": "\\N\t\n\r\x01\u2028🧱",
        "mark": "00ff",
    }
    row = {"key": POST, "source": "t", "values": values}
    apply(ready, "one", virtual_nodes=virtual("t:post:1"), source_metadata=[row])
    (found,) = rows(
        ready, "SELECT likes, tags, score, edited, day::text, good, word, mark FROM meta_t"
    )
    assert found == (
        *(2**63 - 1, values["tags"], 5.0, datetime(2024, 5, 1, 12, tzinfo=UTC)),
        *("2024-05-01", False, values["word"], b"\x00\xff"),
    )


def test_times_keep_their_microseconds_and_their_instant(ready: Database):
    times = [
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(1969, 7, 20, 20, 17, 40, 999_999, timezone(timedelta(hours=-5))),
        datetime(9999, 12, 30, tzinfo=UTC),
    ]
    common = [{"key": POST, "source": "t", "is_root": False, "update_time": one} for one in times]
    apply(ready, "one", virtual_nodes=virtual("t:post:1"), common_metadata=common)
    found = rows(ready, "SELECT update_time FROM common_metadata ORDER BY metadata_id")
    assert [row[0] for row in found] == times


def test_members_archive_locations_and_flags(ready: Database):
    ready.ingests.open("march", "t", None, "/inbox")
    place = {"key": FILE, "filepath": "package-1:a/b.jpg"}
    flags = [{"key": FILE, "is_delete": True}, {"key": FILE, "in_black_list": True}]
    result = apply(
        ready, "one", **post_intent(ingest_batch="march", archive_locations=[place], flags=flags)
    )
    assert result.rows_new == 3 + 1 + 1
    assert count(ready, "ingest_batch_node") == 3
    assert rows(ready, "SELECT filepath FROM archive_location") == [("package-1:a/b.jpg",)]
    assert rows(ready, "SELECT in_black_list, is_delete FROM physical_content") == [(True, True)]
    apply(ready, "two", flags=[{"key": FILE, "is_delete": False}])
    assert rows(ready, "SELECT in_black_list, is_delete FROM physical_content") == [(True, False)]
    assert apply(ready, "three", flags=[{"key": FILE, "is_delete": False}]).rows_new == 0


def test_results_of_an_action(ready: Database):
    columns = (Column(name="text", type="text", comment="Text", nullable=False),)
    ready.declare(
        DeclaredTable(kind="action", name="ocr", version=1, comment="Text", columns=columns)
    )
    ready.actions.declare_action(30, "ocr", "AC3")
    with ready.connection() as connection:
        batch = create_action_batch(connection)
        seal_action_batch(connection, batch)
        event = record_action_history(connection, 30, batch, "done")
    row = {"action": "ocr", "key": FILE, "action_event_id": event, "values": {"text": "wall"}}
    assert apply(ready, "one", physical_nodes=[file_node()], results=[row]).rows_new == 1
    assert rows(ready, "SELECT text, action_event_id FROM result_ocr") == [("wall", event)]
    with pytest.raises(IntentError, match=r"results\[0\]\.values\.text: must be given") as caught:
        apply(ready, "two", results=[{**row, "values": {}}])
    assert len(caught.value.problems) == 1


# ---- Together and broken ---------------------------------------------------------------------


def overlapping(seed: int) -> list[WriteIntent]:
    """Ten intents of a world of which every process has its own half."""
    random = Random(seed)
    intents: list[WriteIntent] = []
    for number in range(10):
        names = [f"n{random.randrange(60)}" for _ in range(40)]
        pairs = [random.sample(range(60), 2) for _ in range(40)]
        nodes = {*names, *(f"n{end}" for pair in pairs for end in pair)}
        document = {
            "intent_id": f"{seed}-{number}",
            "virtual_nodes": virtual(*random.sample(sorted(nodes), len(nodes))),
            "physical_nodes": [file_node(key_of(f"file {end}")) for end in range(20)],
            "relationships": random.sample([CONTAINS, AUTHORED], 2),
            "edges": [
                # Always from the lower number: no cycle, whoever comes first.
                {"parent": key_of(f"n{min(pair)}"), "child": key_of(f"n{max(pair)}")}
                | {"relationship": "contains"}
                for pair in pairs
            ],
            "common_metadata": [
                {"key": key_of(name), "source": "t", "is_root": False, "title": name}
                for name in names
            ],
        }
        intents.append(load_intent(document))
    return intents


def apply_all(url: str, seed: int) -> int:
    with Database.connect(url) as opened:
        return sum(opened.apply_intent(intent).nodes_new for intent in overlapping(seed))


def test_processes_that_meet_at_the_same_nodes(ready: Database, database_url: str):
    # The last two apply the very same intents.
    seeds = [1, 2, 3, 3]
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(apply_all, [database_url] * 4, seeds))
    intents = [intent for seed in (1, 2, 3) for intent in overlapping(seed)]
    keys = {node.key for intent in intents for node in intent.virtual_nodes}
    assert count(ready, "node") == len(keys) + 20
    assert count(ready, "edge") == len(
        {(edge.parent, edge.child) for intent in intents for edge in intent.edges}
    )
    titles = {row.title for intent in intents for row in intent.common_metadata}
    assert count(ready, "common_metadata") == len(titles)
    assert count(ready, "write_intent") == 30
    with ready.connection() as connection:
        assert check_derived(connection).wrong_count == 0


@pytest.mark.parametrize(
    "obstacle",
    ["SELECT pg_advisory_xact_lock(20261121, 1)", "LOCK TABLE edge", "LOCK TABLE meta_t"],
)
def test_a_lost_connection_leaves_nothing(ready: Database, database_url: str, obstacle: str):
    ended: list[BaseException] = []

    def work() -> None:
        try:
            apply(ready, "one", **post_intent())
        except DrystoneError as error:
            ended.append(error)

    with psycopg.connect(database_url) as blocker, psycopg.connect(database_url) as killer:
        killer.autocommit = True
        blocker.execute(obstacle.encode())
        thread = threading.Thread(target=work)
        thread.start()
        deadline = time.monotonic() + 60
        killed = []
        while not killed and time.monotonic() < deadline:
            killed = killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchall()
        blocker.rollback()
        thread.join()
    assert [type(error) for error in ended] == [DatabaseUnavailableError]
    for table in ("node", "virtual_asset", "common_metadata", "edge", "write_intent"):
        assert count(ready, table) == 0
    assert apply(ready, "one", **post_intent()).nodes_new == 3


def test_a_priority_that_was_a_word_is_a_number_and_the_intent_the_same(database: Database):
    """As packages of before have it, whose digest is known."""
    priority = Column(name="priority", type="integer", comment="1 (first) to 10")
    database.declare(
        DeclaredTable(kind="source", name="received", version=1, comment="x", columns=(priority,))
    )
    keys = {word: f"{number:064x}" for number, word in enumerate(("high", "normal"))}
    document = {
        "intent_id": "of before",
        "physical_nodes": [
            {"key": key, "size_bytes": 1, "extension": "json"} for key in keys.values()
        ],
        "source_metadata": [
            {"key": key, "source": "received", "values": {"priority": word}}
            for word, key in keys.items()
        ],
    }
    assert not database.apply_intent(load_intent(document)).repeated
    assert database.apply_intent(load_intent(document)).repeated
    with database.reading() as connection:
        found = connection.execute(
            "SELECT priority FROM meta_received JOIN node USING (node_id) ORDER BY sha256"
        ).fetchall()
    assert found == [(3,), (None,)]
