"""How fast nodes are found by words, beside the scan of titles that it replaces, in the same run.

    python -m bench.words [--nodes 1000000] [--folder /var/tmp] [--json]

Owns one seeded world (words.sql), written by SQL into a fresh server of its own: a post in four
nodes, the others its files; an author for ten posts, 1,000 tags, titles of twelve words of which
some are frequent and most are rare (as 1/rank). Measured are the reading on of all words, and the
first page of 120 nodes of an explorer for a rare word, a frequent one, two, a beginning, an author
and a tag, 40 of each, as the reading role; beside them rare and frequent words by `title:
{contains: ...}`. The goal is p95 <= 150 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from sql import Database
from sql.selector.document import read_selector
from sql.server import server

GOAL_MS = 150
QUESTIONS = 40
VOCABULARY = 50_000
SEED = 1

WORLD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "words.sql")


def rare(generator: random.Random) -> str:
    return f"w{generator.randrange(1_000, VOCABULARY)}"


def frequent(generator: random.Random) -> str:
    return f"w{generator.randrange(5, 50)}"


def questions(nodes: int) -> dict[str, list[dict[str, Any]]]:
    """Return the conditions that are asked, by kind."""
    generator = random.Random(SEED)
    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "rare word": lambda: {"words": rare(generator)},
        "frequent word": lambda: {"words": frequent(generator)},
        "two words": lambda: {"words": f"{frequent(generator)} {frequent(generator)}"},
        "beginning": lambda: {"words": f"w{generator.randrange(100, 1_000)}*"},
        "author": lambda: {"words": {"author": f"user{generator.randrange(nodes // 40)}"}},
        "tag": lambda: {"words": {"tag": f"tag{generator.randrange(1_000)}"}},
        "rare word in titles": lambda: {"metadata": {"title": {"contains": rare(generator)}}},
        "frequent word in titles": lambda: {
            "metadata": {"title": {"contains": frequent(generator)}}
        },
    }
    return {
        name: [make() for _ in range(QUESTIONS if "titles" not in name else 5)]
        for name, make in kinds.items()
    }


def measure(place: server.Place, nodes: int) -> dict[str, float]:
    figures: dict[str, float] = {"nodes": nodes}
    with Database.connect(server.dsn(place)) as database:
        with open(WORLD, encoding="utf-8") as file:
            statements = file.read().format(nodes=nodes, words=VOCABULARY).split(";\n")
        with database.connection() as connection:
            for statement in filter(str.strip, statements):
                connection.execute(statement.encode())
        began = time.perf_counter()
        database.read_words()
        figures["read on, s"] = round(time.perf_counter() - began, 1)
        with database.connection() as connection:
            connection.execute("ANALYZE node_words")
        for kind, conditions in questions(nodes).items():
            taken: list[float] = []
            for where in conditions:
                selector = read_selector({"version": 1, "where": where})
                began = time.perf_counter()
                database.explore.page(selector)
                taken.append(1_000 * (time.perf_counter() - began))
            figures[f"{kind}, ms: median"] = round(statistics.median(taken), 1)
            figures[f"{kind}, ms: p95"] = round(sorted(taken)[int(0.95 * (len(taken) - 1))], 1)
    return figures


def run(
    about: str | None,
    measure: Callable[[server.Place, int], dict[str, float]],
    goals: Mapping[str, float],
) -> None:
    """Measure on a server of its own, as the command line says, and print the figures."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--folder", default="/var/tmp", help="where to work; not on tmpfs")
    parser.add_argument("--json", action="store_true", help="one line of JSON, no table")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="drystone-bench-") as folder:
        os.chmod(folder, 0o755)  # as root the server runs as another user
        place = server.Place(os.path.join(folder, "data"), os.path.join(folder, "run"))
        server.start(place)
        try:
            figures = measure(place, given.nodes)
        finally:
            server.stop(place)
    if given.json:
        print(json.dumps(figures))
    else:
        told = {**figures, **{f"goal: {name}": goal for name, goal in goals.items()}}
        print("\n".join(f"{name:36}{value:>14}" for name, value in told.items()))


if __name__ == "__main__":
    run(__doc__, measure, {"p95, ms": GOAL_MS})
