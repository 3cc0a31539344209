"""Conditions on places: it owns what lies within a distance, along the surface of a round Earth.

Pure. Every source that has the columns `latitude` and `longitude` is asked; a box around the circle
is asked first, of the index that such tables have, and the distance then of what is in the box.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from psycopg.sql import SQL, Composable, Identifier, Literal

from sql.selector.compile_scope import Build, Scope
from sql.selector.compile_terms import FALSE, Term
from sql.selector.selector import Condition, Place

EARTH_RADIUS_KM = 6371.0088
_DISTANCE_KM = SQL(
    "2 * {radius} * asin(sqrt(least(1.0, sind(({row}.latitude - {latitude}) / 2) ^ 2 "
    "+ cosd({row}.latitude) * cosd({latitude}) * sind(({row}.longitude - {longitude}) / 2) ^ 2)))"
)


def place_terms(scope: Scope, condition: Condition) -> Iterator[Term]:
    """Yield the term of `near`, where a condition has it."""
    if condition.near is None:
        return
    build = scope.build
    sets = [_within(table, condition.near, build) for table in build.vocabulary.places]
    if not sets:
        yield Term(FALSE)
        return
    statement = SQL("{} IN ({})").format(scope.node_id, SQL(" UNION ALL ").join(sets))
    yield Term(statement)


def _within(table: str, place: Place, build: Build) -> Composable:
    row = build.alias("place")
    box = _box(row, place, build)
    latitude, longitude = (
        SQL("{}::double precision").format(build.bind(number))
        for number in (place.latitude, place.longitude)
    )
    distance = _DISTANCE_KM.format(
        radius=Literal(EARTH_RADIUS_KM), row=row, latitude=latitude, longitude=longitude
    )
    # A place that is none (500 degrees, infinite) is in no box, and its distance never computed.
    statement = SQL(
        "SELECT {row}.node_id FROM {table} AS {row} WHERE {box} "
        "AND CASE WHEN {box} THEN {distance} <= {within} END"
    )
    within = SQL("{}::double precision").format(build.bind(place.within_km))
    return statement.format(
        row=row, table=Identifier(table), box=box, distance=distance, within=within
    )


def _box(row: Identifier, place: Place, build: Build) -> Composable:
    """Return the term of the box around the circle; across 180 degrees it is two."""
    angle = math.degrees(place.within_km / EARTH_RADIUS_KM) * (1 + 1e-9)
    south, north = max(place.latitude - angle, -90.0), min(place.latitude + angle, 90.0)
    parts = [_between(row, "latitude", south, north, build)]
    if south == -90.0 or north == 90.0:  # A pole is inside, and with it every longitude.
        sides = [(-180.0, 180.0)]
    else:
        ratio = math.sin(math.radians(angle)) / math.cos(math.radians(place.latitude))
        aside = math.degrees(math.asin(min(ratio, 1.0))) * (1 + 1e-9)
        west, east = place.longitude - aside, place.longitude + aside
        sides = [(max(west, -180.0), min(east, 180.0))]
        sides += [(west + 360, 180.0)] if west < -180 else []
        sides += [(-180.0, east - 360)] if east > 180 else []
    across = [_between(row, "longitude", west, east, build) for west, east in sides]
    parts.append(SQL("({})").format(SQL(" OR ").join(across)))
    return SQL(" AND ").join(parts)


def _between(row: Identifier, column: str, least: float, most: float, build: Build) -> Composable:
    return SQL("{}.{} BETWEEN {}::double precision AND {}::double precision").format(
        row, Identifier(column), build.bind(least), build.bind(most)
    )
