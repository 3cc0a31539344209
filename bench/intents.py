"""How fast write-intents are beside raw SQL of the same rows, in the same run.

    python -m bench.intents [--nodes 1000000] [--folder /var/tmp] [--json]

Owns one seeded scrape: authors, posts and their files, as many edges as nodes, an observation of
every post and file in common_metadata and in one source's table, all in one ingest batch. It is
written into fresh databases of one server of its own (our settings):

raw     what one would write by hand without intents: COPY into temporary tables, then for each
        table one INSERT ... SELECT ... ON CONFLICT that finds node ids by sha256; keys, indexes
        and foreign keys are the same. It checks nothing, hashes nothing (hashes and bytes are given
        ready-made), and leaves every node its own root.
intents `apply_intent` of 50,000 nodes at a time, with the objects made beforehand (their making is
        given apart: it is the adapter's, and the same for every way of writing).
raw_one, one: the same two with everything in a single transaction.

Rows are those that the tables have in the end. The goal is 0.6 of the raw rows per second.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from sql.core import migrate
from sql.core.declared import Column, DeclaredTable, declare
from sql.core.statements import statements
from sql.intent.apply import apply_intent
from sql.intent.apply_values import Converter, common_hash
from sql.intent.intent import (
    CommonMetadata,
    Edge,
    PhysicalNode,
    Relationship,
    SourceMetadata,
    VirtualNode,
    WriteIntent,
    key_of,
)
from sql.intent.tree_rebuild import check_derived
from sql.server import server

SEED = 1
GOAL = 0.6
INTENT_NODES = 50_000
FILES_PER_POST = 3
POSTS_PER_AUTHOR = 10
BATCH = "bench"
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)

TABLE = DeclaredTable(
    kind="source",
    name="bench",
    version=1,
    comment="A source of the bench",
    columns=(
        Column(name="post_id", type="text", comment="Id of the post"),
        Column(name="like_count", type="bigint", comment="Likes"),
        Column(name="reply_count", type="bigint", comment="Replies"),
        Column(name="width", type="bigint", comment="Width in pixels"),
        Column(name="height", type="bigint", comment="Height in pixels"),
        Column(name="hashtags", type="text[]", comment="Hashtags"),
        Column(name="is_sensitive", type="boolean", comment="Marked as sensitive"),
    ),
)
RELATIONSHIPS = (
    Relationship(description="contains", forms_tree=True),
    Relationship(description="authored", forms_tree=False),
    Relationship(description="reply", forms_tree=False),
)
TABLES = (
    "node",
    "virtual_asset",
    "physical_content",
    "common_metadata",
    "meta_bench",
    "edge",
    "ingest_batch_node",
)


def observations(
    generator: random.Random, key: str, number: int, author: str, is_root: bool
) -> tuple[CommonMetadata, SourceMetadata]:
    """What the scrape says about one node."""
    time_of = START + datetime.timedelta(seconds=number)
    common = CommonMetadata(
        key=key,
        source="bench",
        is_root=is_root,
        title=f"A title of ordinary length, number {number}, with some words in it",
        view=generator.randrange(100_000),
        update_time=time_of,
        download_time=START,
        author_description=author,
        user="somebody",
        raw_metadata=json.dumps({"id": number, "text": "words " * 40, "likes": number % 977}),
    )
    values = {
        "post_id": str(number),
        "like_count": generator.randrange(10_000),
        "reply_count": generator.randrange(100),
        "width": generator.randrange(200, 4000),
        "height": generator.randrange(200, 4000),
        "hashtags": ["one", "two"] if number % 3 else [],
        "is_sensitive": number % 17 == 0,
    }
    return common, SourceMetadata(key=key, source="bench", download_time=START, values=values)


def scrape(count: int, intent_nodes: int) -> Iterator[WriteIntent]:
    """Yield intents of about `intent_nodes` nodes with as many edges, `count` nodes in all."""
    generator = random.Random(SEED)
    made = number = 0
    while made < count:
        nodes: list[VirtualNode] = []
        files: list[PhysicalNode] = []
        edges: list[Edge] = []
        common: list[CommonMetadata] = []
        source: list[SourceMetadata] = []
        while len(nodes) + len(files) < min(intent_nodes, count - made):
            author = f"bench:user:{number // POSTS_PER_AUTHOR}"
            if number % POSTS_PER_AUTHOR == 0:
                nodes.append(VirtualNode(description=author))
            post = key_of(f"bench:post:{number}")
            nodes.append(VirtualNode(description=f"bench:post:{number}"))
            edges.append(Edge(parent=key_of(author), child=post, relationship="authored"))
            if number % POSTS_PER_AUTHOR:
                answered = key_of(f"bench:post:{number - 1}")
                edges.append(Edge(parent=answered, child=post, relationship="reply"))
            rows = [observations(generator, post, number, author, False)]
            for position in range(FILES_PER_POST):
                key = generator.randbytes(32).hex()
                files.append(PhysicalNode(key=key, size_bytes=30_000 + position, extension="jpg"))
                edges.append(
                    Edge(parent=post, child=key, relationship="contains", position=position)
                )
                rows.append(observations(generator, key, number, author, True))
            common += [row[0] for row in rows]
            source += [row[1] for row in rows]
            number += 1
        made += len(nodes) + len(files)
        yield WriteIntent(
            intent_id=f"bench-{made}",
            ingest_batch=BATCH,
            virtual_nodes=tuple(nodes),
            physical_nodes=tuple(files),
            common_metadata=tuple(common),
            source_metadata=tuple(source),
            relationships=RELATIONSHIPS,
            edges=tuple(edges),
        )


def joined(intents: Sequence[WriteIntent]) -> WriteIntent:
    """Return everything as one intent."""
    names = [name for name, field in WriteIntent.model_fields.items() if field.default == ()]
    rows = {
        name: tuple(row for intent in intents for row in getattr(intent, name)) for name in names
    }
    rows["relationships"] = RELATIONSHIPS
    whole = WriteIntent(intent_id="bench-one", ingest_batch=BATCH)
    return whole.model_copy(update=rows)


# ---- By hand ---------------------------------------------------------------------------------

RAW_TABLES = {
    "raw_node": "sha256 bytea, is_virtual boolean, is_physical boolean",
    "raw_virtual": "sha256 bytea, description text",
    "raw_physical": "sha256 bytea, file_size_bytes bigint, file_extension_id smallint",
    "raw_common": "sha256 bytea, source_id integer, is_raw boolean, is_root boolean, title text, "
    "view bigint, update_time timestamptz, download_time timestamptz, author_description text, "
    '"user" text, raw_metadata text, observation_hash bytea',
    "raw_meta": "sha256 bytea, download_time timestamptz, observation_hash bytea, post_id text, "
    "like_count bigint, reply_count bigint, width bigint, height bigint, hashtags text[], "
    "is_sensitive boolean",
    "raw_edge": "parent bytea, child bytea, relationship_id integer, position integer",
}
RAW_STATEMENTS = (
    "INSERT INTO node (node_id, sha256, is_virtual, is_physical, root_id, component_id) "
    "OVERRIDING SYSTEM VALUE SELECT id, sha256, is_virtual, is_physical, id, id FROM (SELECT "
    "nextval(pg_get_serial_sequence('node', 'node_id')) AS id, raw_node.* FROM raw_node) AS given "
    "ON CONFLICT (sha256) DO NOTHING",
    "INSERT INTO virtual_asset (description, node_id) SELECT description, node_id "
    "FROM raw_virtual JOIN node USING (sha256) ON CONFLICT (node_id) DO NOTHING",
    "INSERT INTO physical_content (node_id, file_size_bytes, file_extension_id) SELECT node_id, "
    "file_size_bytes, file_extension_id FROM raw_physical JOIN node USING (sha256) "
    "ON CONFLICT (node_id) DO NOTHING",
    "INSERT INTO common_metadata (node_id, source_id, is_raw, is_root, title, view, update_time, "
    'download_time, author_description, "user", raw_metadata, observation_hash) SELECT node_id, '
    "source_id, is_raw, is_root, title, view, update_time, download_time, author_description, "
    '"user", raw_metadata, observation_hash FROM raw_common JOIN node USING (sha256) '
    "ON CONFLICT (node_id, observation_hash) DO NOTHING",
    "INSERT INTO meta_bench (node_id, download_time, observation_hash, post_id, like_count, "
    "reply_count, width, height, hashtags, is_sensitive) SELECT node_id, download_time, "
    "observation_hash, post_id, like_count, reply_count, width, height, hashtags, is_sensitive "
    "FROM raw_meta JOIN node USING (sha256) ON CONFLICT (node_id, observation_hash) DO NOTHING",
    "INSERT INTO edge (parent_node_id, child_node_id, relationship_id, position) SELECT "
    "parent.node_id, child.node_id, relationship_id, position FROM raw_edge "
    "JOIN node AS parent ON parent.sha256 = parent JOIN node AS child ON child.sha256 = child "
    "ON CONFLICT (parent_node_id, child_node_id, relationship_id) DO NOTHING",
    "INSERT INTO ingest_batch_node (ingest_batch_id, node_id) SELECT 1, node_id "
    "FROM raw_node JOIN node USING (sha256) ON CONFLICT DO NOTHING",
)


@dataclass(frozen=True, slots=True)
class RawRows:
    """Ready-made tuples for COPY, in the order of RAW_TABLES."""

    tables: tuple[list[tuple[Any, ...]], ...]


def raw_rows(intent: WriteIntent) -> RawRows:
    """Make everything ready that the raw way is given for nothing."""
    meanings = {row.description: number for number, row in enumerate(RELATIONSHIPS, start=1)}
    convert = Converter.of(TABLE)
    virtual = [(bytes.fromhex(row.key), row.description) for row in intent.virtual_nodes]
    physical = [(bytes.fromhex(row.key), row.size_bytes, 1) for row in intent.physical_nodes]
    nodes = [(row[0], True, False) for row in virtual]
    nodes += [(row[0], False, True) for row in physical]
    common = [
        (
            *(bytes.fromhex(row.key), 1, row.is_raw, row.is_root, row.title, row.view),
            *(row.update_time, row.download_time, row.author_description, row.user),
            *(row.raw_metadata, common_hash(row)),
        )
        for row in intent.common_metadata
    ]
    meta = list[tuple[Any, ...]]()
    for row in intent.source_metadata:
        cells = convert.row(row.values, [], "")
        hashed = convert.hash(cells, row.download_time)
        meta.append((bytes.fromhex(row.key), row.download_time, hashed, *cells))
    edges = [
        (
            *(bytes.fromhex(row.parent), bytes.fromhex(row.child)),
            *(meanings[row.relationship], row.position),
        )
        for row in intent.edges
    ]
    return RawRows((nodes, virtual, physical, common, meta, edges))


def apply_raw(connection: psycopg.Connection[Any], given: RawRows) -> None:
    """COPY and INSERT ... ON CONFLICT in one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        for (name, columns), rows in zip(RAW_TABLES.items(), given.tables, strict=True):
            cursor.execute(f"CREATE TEMPORARY TABLE {name} ({columns}) ON COMMIT DROP".encode())
            with cursor.copy(f"COPY {name} FROM STDIN (FORMAT binary)".encode()) as copy:
                copy.set_types([word.strip().split()[-1] for word in columns.split(",")])
                for row in rows:
                    copy.write_row(row)
            cursor.execute(f"ANALYZE {name}".encode())
        for statement in RAW_STATEMENTS:
            cursor.execute(statement.encode(), prepare=False)


# ---- The runs --------------------------------------------------------------------------------


def fresh_database(place: server.Place, name: str) -> psycopg.Connection[Any]:
    """Return a connection to a new database with the schema, the source and the batch."""
    with psycopg.connect(server.dsn(place), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    connection = psycopg.connect(server.dsn(place, name), autocommit=True)
    migrate.migrate(connection, migrate.known_migrations())
    with connection.transaction():
        declare(connection, TABLE)
        connection.execute(
            "INSERT INTO ingest_batch (name, adapter, folder, state, file_count, size_bytes) "
            "VALUES (%s, 'bench', '/bench', 'frozen', 0, 0)",
            [BATCH],
        )
    return connection


def count_rows(connection: psycopg.Connection[Any]) -> int:
    counts = (connection.execute(f"SELECT count(*) FROM {name}".encode()) for name in TABLES)
    return sum(row[0] for cursor in counts for row in cursor)


def drop(place: server.Place, connection: psycopg.Connection[Any], name: str) -> None:
    connection.close()
    with psycopg.connect(server.dsn(place), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name}".encode())
        admin.execute("CHECKPOINT")


def run(place: server.Place, name: str, given: Sequence[WriteIntent]) -> tuple[int, float]:
    """Write the intents in one of the ways; returns the rows then there and the seconds."""
    is_raw = name.startswith("raw")
    connection = fresh_database(place, name)
    if is_raw:
        declare_sql = statements("apply")["declare_relationship"]
        for row in RELATIONSHIPS:
            connection.execute(declare_sql, [row.action_id, row.description, row.forms_tree])
    seconds = 0.0
    for intent in given:
        ready = raw_rows(intent) if is_raw else None
        started = time.perf_counter()
        if ready is None:
            apply_intent(connection, intent)
        else:
            apply_raw(connection, ready)
        seconds += time.perf_counter() - started
    if not is_raw and check_derived(connection).wrong_count:
        raise SystemExit("the derived columns are wrong")
    rows = count_rows(connection)
    drop(place, connection, name)
    return rows, seconds


def measure(place: server.Place, count: int, intent_nodes: int) -> dict[str, float]:
    """Run all ways one after the other; each gets a database of its own."""
    began = time.perf_counter()
    intents = list(scrape(count, intent_nodes))
    figures: dict[str, float] = {"nodes": count, "intents": len(intents)}
    figures["objects_s"] = time.perf_counter() - began
    seen: set[int] = set()
    for given, raw, ours in (intents, "raw", "intents"), ([joined(intents)], "raw_one", "one"):
        for name in (raw, ours):
            rows, seconds = run(place, name, given)
            seen.add(rows)
            figures |= {f"{name}_s": seconds, f"{name}_rows_per_s": rows / seconds}
        figures[f"{ours}_ratio"] = figures[f"{raw}_s"] / figures[f"{ours}_s"]
    if len(seen) != 1:
        raise SystemExit(f"the ways wrote different numbers of rows: {sorted(seen)}")
    return {**{name: round(value, 3) for name, value in figures.items()}, "rows": seen.pop()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--intent-nodes", type=int, default=INTENT_NODES)
    parser.add_argument("--folder", default="/var/tmp", help="where to work; not on tmpfs")
    parser.add_argument("--json", action="store_true", help="one line of JSON, no table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="drystone-bench-") as folder:
        os.chmod(folder, 0o755)  # as root the server runs as another user
        place = server.Place(os.path.join(folder, "data"), os.path.join(folder, "run"))
        server.start(place)
        try:
            figures = measure(place, given.nodes, given.intent_nodes)
        finally:
            server.stop(place)
    if given.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:28}{value:>14}" for name, value in figures.items()))
        print(f"{'goal':28}{GOAL:>14}")


if __name__ == "__main__":
    main()
