"""The seeded fixture: it is what it was, and what the issue asks of it."""

from __future__ import annotations

from database_fixture_data import (
    SMALL_BYTES_MAX,
    Fixture,
    fill_database,
    fixture_hash,
    make_fixture,
)

from sql import Database
from sql.intent.tree_rebuild import check_derived

HASH = "b65c57bec0c372ff86fe04311f7e75bcc72cc823f5f3cc3c83ff63e2a56ad161"


def test_the_fixture_is_what_it_was():
    assert fixture_hash(make_fixture()) == HASH


def test_another_seed_makes_another_world():
    assert fixture_hash(make_fixture(200, seed=9)) != fixture_hash(make_fixture(200))


def test_nearly_all_files_are_small():
    intents = make_fixture().intents
    sizes = {node.key: node.size_bytes for intent in intents for node in intent.physical_nodes}
    small = sum(size <= SMALL_BYTES_MAX for size in sizes.values())
    assert small / len(sizes) >= 0.95
    assert small < len(sizes)


def test_it_has_everything_that_later_tests_want(database: Database):
    fixture: Fixture = make_fixture()
    fill_database(database, fixture)
    with database.connection() as connection:

        def one(query: str) -> int:
            return connection.execute(query.encode()).fetchone()[0]

        assert abs(one("SELECT count(*) FROM node") - 2_000) < 200
        for table in fixture.tables:
            assert one(f"SELECT count(*) FROM {table.table_name}") > 50
        # One sha256, several stories; also from several sources.
        assert one(
            "SELECT count(*) FROM (SELECT node_id FROM common_metadata JOIN physical_content "
            "USING (node_id) GROUP BY node_id HAVING count(*) > 1) AS several"
        )
        assert one(
            "SELECT count(*) FROM (SELECT node_id FROM common_metadata GROUP BY node_id "
            "HAVING count(DISTINCT source_id) > 1) AS several"
        )
        # Authors across batches, known once.
        assert one(
            "SELECT count(*) FROM (SELECT node_id FROM virtual_asset JOIN ingest_batch_node "
            "USING (node_id) WHERE description LIKE 'birdsite:user:%' GROUP BY node_id "
            "HAVING count(*) > 1) AS several"
        )
        for word in ("contains", "authored", "reply", "repost", "crop", "frame"):
            assert one(
                "SELECT count(*) FROM edge JOIN relationship USING (relationship_id) "
                f"WHERE description = '{word}'"
            )
        assert one("SELECT count(*) FROM physical_content WHERE in_black_list") == 5
        assert one("SELECT count(*) FROM physical_content WHERE is_delete") == 4
        assert one("SELECT max(depth) FROM node") == 2
        assert check_derived(connection).wrong_count == 0
