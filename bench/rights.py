"""How fast a guest looks around who sees a thousand nodes, or half of all, by row security.

    python -m bench.rights [--nodes 1000000] [--folder /var/tmp] [--json]

Owns the seeded world of bench.words, in a fresh server of its own, with two guests: one was granted
a thousand nodes that lie anywhere, one every other. What their grants reach is written by SQL, as
`read_rights` would in longer. Measured are the first page of 120 nodes of an explorer, one from the
middle, one of pictures, one for a rare word, and the counts beside them (facets), 20 of each as the
guest; beside them the pages by staff. The goals are p95 <= 100 ms for a page and <= 500 ms for
facets.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from bench.words import SEED, VOCABULARY, WORLD, rare, run
from sql import Database
from sql.selector.document import read_selector
from sql.server import server

PAGE_GOAL_MS = 100
FACETS_GOAL_MS = 500
QUESTIONS = 20
FEW = 1_000
HASH = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$c29tZWhhc2g"


def fill(database: Database, nodes: int) -> None:
    with open(WORLD, encoding="utf-8") as file:
        statements = file.read().format(nodes=nodes, words=VOCABULARY).split(";\n")
    with database.connection() as connection:
        for statement in filter(str.strip, statements):
            connection.execute(statement.encode())
        connection.execute(
            "INSERT INTO ingest_batch (name, adapter, folder, state) "
            "VALUES ('bench', 'bench', '/bench', 'described')"
        )
        connection.execute(
            "INSERT INTO observation_batch (node_id, ingest_batch_id, source_id, observation_hash) "
            "SELECT node_id, 1, source_id, observation_hash FROM common_metadata"
        )
        connection.execute(
            "INSERT INTO ingest_batch_node (ingest_batch_id, node_id) SELECT 1, node_id FROM node"
        )
    database.read_words()
    for name, step in (("few", 4 * max(1, nodes // FEW)), ("half", 8)):
        user = database.users.add(name, "guest", HASH)
        with database.connection() as connection:
            connection.execute(
                "WITH given AS (INSERT INTO access_grant (user_id, node_id, level, with_metadata, "
                "granted_by, batch_node_id) VALUES (%s, 1, 'editor', true, 'bench', NULL) "
                "RETURNING grant_id) INSERT INTO grant_reach (grant_id, node_id) "
                "SELECT grant_id, number FROM given, generate_series(1, %s) AS number "
                "WHERE (number - 1) %% %s < 4",
                [user.user_id, nodes, step],
            )
    with database.connection() as connection:
        connection.execute("ANALYZE node_words, grant_reach, observation_batch, ingest_batch_node")


def questions(
    nodes: int,
) -> dict[str, Callable[[random.Random], tuple[dict[str, Any], int | None]]]:
    """Return what is asked for, by kind: a condition, and where the page begins."""
    return {
        "page": lambda _: ({}, None),
        "page in the middle": lambda one: ({}, one.randrange(nodes)),
        "page of pictures": lambda one: ({"media_type": "image"}, one.randrange(nodes)),
        "page of a rare word": lambda one: ({"words": rare(one)}, None),
    }


def measure(place: server.Place, nodes: int) -> dict[str, float]:
    figures: dict[str, float] = {"nodes": nodes}
    with Database.connect(server.dsn(place)) as database:
        fill(database, nodes)
        for who in ("few", "half", "staff"):
            user = None if who == "staff" else database.users.user(who)
            seen: Any = database if user is None else database.seen_by(user.user_id)
            for kind, make in questions(nodes).items():
                generator, taken = random.Random(SEED), list[float]()
                for _ in range(QUESTIONS):
                    where, cursor = make(generator)
                    selector = read_selector({"version": 1, **({"where": where} if where else {})})
                    began = time.perf_counter()
                    seen.explore.page(selector, cursor=cursor)
                    taken.append(1_000 * (time.perf_counter() - began))
                _note(figures, f"{who}, {kind}", taken)
            taken = []
            if user is None:
                continue  # Of all nodes, which takes seconds, and is no matter of guests.
            for _ in range(QUESTIONS):
                began = time.perf_counter()
                seen.explore.facets(read_selector({"version": 1}))
                taken.append(1_000 * (time.perf_counter() - began))
            _note(figures, f"{who}, facets", taken)
    return figures


def _note(figures: dict[str, float], name: str, taken: list[float]) -> None:
    figures[f"{name}, ms: p95"] = round(sorted(taken)[int(0.95 * (len(taken) - 1))], 1)


if __name__ == "__main__":
    goals = {"p95 of a page, ms": PAGE_GOAL_MS, "p95 of facets, ms": FACETS_GOAL_MS}
    run(__doc__, measure, goals)
