"""How fast selectors are beside hand-written SQL of the same questions, in the same run.

    python -m bench.selectors [--nodes 1000000] [--runs 5] [--folder /var/tmp] [--json]

Owns a world made by SQL in a server of its own (our settings and schema): a tenth authors, three
tenths posts, half files, a tenth crops; nine edges for ten nodes; prolific authors and silent ones;
metadata on posts and files, declared metadata on posts, one action done for a fifth of the files.
Ten questions, each as a selector and as the best statement we could write by hand, which may know
what no selector says (that files are two edges below an author, that only posts have likes).

Both run alternately as the same role with the same settings and are read in the same way: `sum`
asks for count and size, `rows` streams id, key, size and extension through a cursor. Figures are
medians in milliseconds. `prepare` is what a selector costs before it runs: names looked up,
statement compiled, ways to ask compared with EXPLAIN; it does not grow with the database. The goal
is a ratio of run times of at most 1.2.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from typing import Any

import psycopg

from bench.selectors.questions import POST, QUESTIONS, Question
from sql import Database
from sql.core.declared import Column, DeclaredTable
from sql.selector import select
from sql.selector.document import parse_selector
from sql.server import server

GOAL = 1.2
FETCH_ROWS = 5_000

TABLE = DeclaredTable(
    kind="source",
    name="beta",
    version=1,
    comment="A source of the bench",
    columns=(
        Column(name="likes", type="bigint", comment="Likes"),
        Column(name="tags", type="text[]", comment="Tags"),
    ),
)

_WORLD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "world.sql")
_INDEXES = """
    SELECT class.relname, pg_get_indexdef(class.oid), own.conname, pg_get_constraintdef(own.oid),
        index.indrelid::regclass::text
    FROM pg_index AS index JOIN pg_class AS class ON class.oid = index.indexrelid
    LEFT JOIN pg_constraint AS own ON own.conindid = class.oid AND own.contype = 'u'
    WHERE NOT index.indisprimary AND index.indrelid = ANY(%s::regclass[])
"""
_TABLES = (
    "node", "physical_content", "edge", "common_metadata", "virtual_asset", "meta_beta",
    "action_batch_node", "ingest_batch_node",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.selectors", description="Selectors beside hand-written SQL."
    )
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="ds-selectors-", dir=arguments.folder)
    place = server.Place(os.path.join(root, "data"), os.path.join(root, "run"), {"fsync": "off"})
    try:
        # Whoever PostgreSQL runs as must reach its data.
        os.chmod(root, 0o755)
        server.start(place)
        try:
            with Database.connect(server.dsn(place), statement_timeout_s=3600) as database:
                started = time.perf_counter()
                load(database, arguments.nodes)
                loaded_s = time.perf_counter() - started
                figures = [measure(database, one, arguments) for one in QUESTIONS]
                with database.connection() as connection:
                    row = connection.execute(
                        "SELECT pg_database_size(current_database())"
                    ).fetchone()

        finally:
            server.stop(place)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    report(arguments, figures, loaded_s, row[0] if row else 0)
    return 0 if all(one["ratio"] <= GOAL for one in figures) else 1


def load(database: Database, nodes: int) -> None:
    """Fill the tables without their indexes, which are made afterwards as in the schema."""
    database.declare(TABLE)
    with database.connection() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("SET work_mem = '256MB'")
        indexes = connection.execute(_INDEXES, [list(_TABLES)]).fetchall()
        for name, _, constraint, _, table in indexes:
            drop = (
                f'ALTER TABLE {table} DROP CONSTRAINT "{constraint}"'
                if constraint
                else f'DROP INDEX "{name}"'
            )
            connection.execute(drop.encode())
        with open(_WORLD, encoding="utf-8") as file:
            connection.execute(file.read().replace("{nodes}", str(nodes)).encode())
        for _, definition, constraint, key, table in indexes:
            add = f'ALTER TABLE {table} ADD CONSTRAINT "{constraint}" {key}'
            connection.execute((add if constraint else definition).encode())
        connection.execute("SET session_replication_role = origin")
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
        connection.autocommit = False


def measure(
    database: Database, question: Question, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Ask both ways in turns; the first turn warms the cache for both and is not counted."""
    turns = [ask(database, question, arguments.nodes) for _ in range(arguments.runs + 1)][1:]
    prepare_ms, selector_ms, hand_ms = (
        statistics.median(turn[place] for turn in turns) for place in range(3)
    )
    return {
        "name": question.name, "reads": question.reads, "count": turns[0][3],
        "prepare_ms": prepare_ms, "selector_ms": selector_ms, "hand_ms": hand_ms,
        "ratio": selector_ms / hand_ms,
    }  # fmt: skip


def ask(database: Database, question: Question, nodes: int) -> tuple[float, float, float, int]:
    """Return milliseconds to prepare the selector, to run it, to run the SQL, and the nodes."""
    # The posts begin behind the authors, a tenth of the nodes.
    post = str(nodes // 10 + 17)
    selector = parse_selector(question.selector.replace(POST, post))
    with database.reading() as connection:
        started = time.perf_counter()
        form = "aggregate" if question.reads == "sum" else "rows"
        compiled = select.plan(connection, selector, form, float("inf")).compiled
        prepared = time.perf_counter()
        found = read(connection, question, compiled.statement, compiled.parameters)
        ended = time.perf_counter()
    with database.reading() as connection:
        connection.execute(select.SETTINGS)
        hand_started = time.perf_counter()
        wanted = read(connection, question, question.sql.replace(POST, post).encode(), None)
        hand_ended = time.perf_counter()
    if found != wanted:
        raise SystemExit(f"{question.name}: the selector finds {found}, by hand {wanted}")
    return (
        (prepared - started) * 1000,
        (ended - prepared) * 1000,
        (hand_ended - hand_started) * 1000,
        found[0],
    )


def read(
    connection: psycopg.Connection[Any], question: Question, statement: Any, parameters: Any
) -> tuple[int, int]:
    """Run a statement to its end; returns how many nodes and bytes it found."""
    if question.reads == "sum":
        rows = connection.execute(statement, parameters).fetchall()
        return sum(row[-2] for row in rows), sum(int(row[-1] or 0) for row in rows)
    count = size = 0
    with psycopg.ServerCursor(connection, "bench") as cursor:
        cursor.execute(statement, parameters)
        while rows := cursor.fetchmany(FETCH_ROWS):
            count += len(rows)
            size += sum(row[2] or 0 for row in rows)
    return count, size


def report(
    arguments: argparse.Namespace, figures: list[dict[str, Any]], loaded_s: float, size: int
) -> None:
    if arguments.json:
        print(json.dumps({"nodes": arguments.nodes, "queries": figures}))
        return
    print(f"{arguments.nodes:,} nodes, {size / 1e9:.1f} GB, loaded in {loaded_s:.0f} s")
    print(
        f"{'question':44} {'nodes':>9} {'by hand':>9} {'selector':>9} {'ratio':>6} {'prepare':>8}"
    )
    for one in figures:
        print(
            f"{one['name']:44} {one['count']:9,} {one['hand_ms']:9.1f} {one['selector_ms']:9.1f} "
            f"{one['ratio']:6.2f} {one['prepare_ms']:8.1f}"
        )
