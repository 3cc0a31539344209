"""Places: what is within so many kilometres, by a box that an index finds and the true distance."""

from __future__ import annotations

import math
from random import Random

import database_harness
import psycopg
import pytest

from sql import Column, Database, DeclaredTable
from sql.core import migrate
from sql.core.declared import ddl, declare
from sql.core.errors import SelectorError
from sql.core.migrate import known_migrations
from sql.intent.intent import SourceMetadata, VirtualNode, WriteIntent, key_of
from sql.selector.document import read_selector

RADIUS_KM = 6371.0088


def table(name: str, version: int = 1, columns: tuple[str, ...] = ("latitude", "longitude")):
    declared = (Column(name=c, type="double precision", comment="Degrees") for c in columns)
    return DeclaredTable(
        kind="source", name=name, version=version, comment="P", columns=tuple(declared)
    )


def write(database: Database, source: str, places: list[tuple[float, float]]) -> None:
    names = [f"test:place:{source}{number}" for number in range(len(places))]
    rows = [
        SourceMetadata(
            key=key_of(name), source=source, values={"latitude": place[0], "longitude": place[1]}
        )
        for name, place in zip(names, places, strict=True)
    ]
    nodes = tuple(VirtualNode(description=name) for name in names)
    database.apply_intent(
        WriteIntent(intent_id=source, virtual_nodes=nodes, source_metadata=tuple(rows))
    )


def near(latitude: float, longitude: float, within_km: float) -> dict[str, object]:
    return {"near": {"latitude": latitude, "longitude": longitude, "within_km": within_km}}


def count(database: Database, where: object) -> int:
    return database.aggregate(read_selector({"version": 1, "where": where})).count


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The distance by vectors, another way than the statement's."""

    def point(place: tuple[float, float]) -> tuple[float, float, float]:
        south, east = map(math.radians, place)
        return (
            math.cos(south) * math.cos(east), math.cos(south) * math.sin(east), math.sin(south)
        )  # fmt: skip

    return 2 * RADIUS_KM * math.asin(min(1.0, math.dist(point(one), point(other)) / 2))


def test_places_are_found_by_their_distance_in_all_sources(database: Database):
    chance = Random(3)
    spread = [(chance.uniform(-90, 90), chance.uniform(-180, 180)) for _ in range(300)]
    # Near the poles, at both sides of 180 degrees, at a centre; and what is no place.
    odd = [(89.9, 10.0), (89.9, -170.0), (-89.99, 0.0), (0.01, 179.99), (0.01, -179.99)]
    munich = [(48.137, 11.575), (48.14, 11.60), (48.30, 11.575)]
    first, second = [*spread, *odd, (500.0, 11.5)], munich
    database.declare(table("first"))
    database.declare(table("second"))
    database.declare(table("other", columns=("latitude",)))
    write(database, "first", first)
    write(database, "second", second)
    for centre, within in [
        ((48.137, 11.575), 5.0), ((48.137, 11.575), 0.001), ((0.0, 180.0), 10.0),
        ((90.0, 0.0), 50.0), ((-89.9, 120.0), 100.0), ((10.0, -179.0), 3000.0),
        ((0.0, 0.0), 20_016.0),
    ]:  # fmt: skip
        expected = sum(
            abs(place[0]) <= 90 and distance_km(place, centre) <= within
            for place in (*first, *second)
        )
        assert count(database, near(*centre, within)) == expected, (centre, within)
    assert count(database, near(48.137, 11.575, 5.0)) == 2
    whole = count(database, {"is_virtual": True})
    assert count(database, {"not": near(48.137, 11.575, 5.0)}) == whole - 2
    either = {"any": [near(48.137, 11.575, 5.0), {"description": "test:place:second2"}]}
    assert count(database, either) == 3


def test_without_a_source_of_places_nothing_is_near(database: Database):
    assert count(database, near(0.0, 0.0, 20_000.0)) == 0


def test_the_index_is_there_from_the_first_and_after_a_change(database: Database):
    def indexes(name: str) -> int:
        with database.reading() as connection:
            asked = "SELECT count(*) FROM pg_indexes WHERE tablename = %s AND indexdef LIKE %s"
            row = connection.execute(asked, [name, "%(latitude, longitude)%"]).fetchone()
        assert row is not None
        return row[0]

    database.declare(table("old", columns=("latitude",)))
    assert indexes("meta_old") == 0
    for version in (2, 3):
        columns = ("latitude", "longitude", "height_m")[:version]
        database.declare(table("old", version, columns))
        assert indexes("meta_old") == 1
    assert "(latitude, longitude)" in ddl(table("old")).replace('"', "")
    database.declare(table("many"))
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
            "VALUES (sha256('x'), true, 1, 1)"
        )
        connection.execute(
            "INSERT INTO meta_many (node_id, observation_hash, latitude, longitude) "
            "SELECT node_id, substr(sha256(n::text::bytea), 1, 16), n % 180 - 90, n % 359 - 179 "
            "FROM node, generate_series(1, 20000) AS n"
        )
    with database.connection() as connection:
        connection.execute("ANALYZE meta_many")
    told = database.explain(read_selector({"version": 1, "where": near(10.0, 10.0, 5.0)}))
    assert "meta_many_latitude_longitude_idx" in str(told)


def test_a_database_of_schema_37_gets_the_index_for_what_it_has(database_server: str):
    before = [one for one in known_migrations() if one.number < 38]
    with database_harness.new_database(database_server) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            migrate.migrate(connection, before)
            declare(connection, table("found"))
            connection.execute("DROP INDEX meta_found_latitude_longitude_idx")
            declare(connection, table("half", columns=("latitude",)))
        with Database.connect(dsn) as database, database.reading() as connection:
            found = connection.execute(
                "SELECT tablename FROM pg_indexes WHERE indexdef LIKE %s",
                ["%(latitude, longitude) WHERE%"],
            ).fetchall()
            assert found == [("meta_found",)]
            assert count(database, near(0.0, 0.0, 5.0)) == 0


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"latitude": 91, "longitude": 0, "within_km": 5}, "where.near.latitude"),
        ({"latitude": 0, "longitude": "x", "within_km": 5}, "where.near.longitude"),
        ({"latitude": 0, "longitude": 0, "within_km": 0}, "where.near.within_km"),
        ({"latitude": 0, "longitude": 0}, "where.near.within_km"),
        ({"latitude": float("nan"), "longitude": 0, "within_km": 5}, "where.near.latitude"),
    ],
)
def test_a_place_that_is_none_is_refused(place: dict[str, object], said: str):
    with pytest.raises(SelectorError, match=said):
        read_selector({"version": 1, "where": {"near": place}})
