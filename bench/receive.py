"""How fast documents are decided about, parsing included.

    python -m bench.receive [--documents 100000] [--json]

Documents of 2 kB and 30 fields, with optional fields and a few odd values, are written as JSON
Lines, then read, hashed, sorted by shape and decided about, as an ingest does. Beside it the parse
alone, by `json.loads`. The goal is 20 s for 100,000.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections import Counter
from typing import Any

from adapters.decide.decision import Thresholds, decide
from adapters.decide.profile import Sample
from adapters.decide.rows import RowMaker
from adapters.decide.shapes import grouped, keys_of, shape_of
from adapters.records.json_objects import ObjectReader

GOAL_S = 20.0
SEED = 1


def document(chance: random.Random, number: int) -> dict[str, Any]:
    """Return one of about 2 kB and 30 fields, a few of which are missing now and then."""
    found: dict[str, Any] = {
        "id": f"{chance.getrandbits(128):032x}",
        "number": number,
        "created_at": f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}T12:00:00Z",
        "author": {"id": number % 1_000, "name": f"user {number % 1_000}"},
        "tags": [f"tag{chance.randrange(100)}" for _ in range(5)],
    }
    for field in range(10):
        found[f"count_{field}"] = chance.randrange(100_000)
        found[f"text_{field}"] = "lorem ipsum dolor sit amet " * chance.randrange(3, 8)
    for field in range(5):
        if chance.random() < 0.9:
            found[f"share_{field}"] = chance.random() if chance.random() < 0.99 else "none"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    chance = random.Random(SEED)
    lines = [json.dumps(document(chance, number)) for number in range(given.documents)]
    figures: dict[str, Any] = {
        "documents": len(lines),
        "mean_bytes": sum(map(len, lines)) // len(lines),
    }
    begun = time.monotonic()
    for line in lines:
        json.loads(line)
    figures["json_loads_s"] = round(time.monotonic() - begun, 2)
    begun = time.monotonic()
    thresholds = Thresholds(keys_max=40)
    reader, samples = ObjectReader(), dict[str, Sample]()
    shapes, counts = dict[str, frozenset[str]](), Counter[str]()
    for line in lines:
        found = reader.read_one(line)
        keys = keys_of(found.value)
        name = shape_of(keys)
        shapes[name] = keys
        counts[name] += 1
        sample = samples.setdefault(name, Sample(thresholds.sample_documents))
        sample.add(hashlib.sha256(line.encode()).digest(), found.value)
    groups = grouped(shapes, counts)
    whole = Sample(thresholds.sample_documents)
    for name in groups[0]:
        for one in samples[name].documents():
            whole.add(hashlib.sha256(json.dumps(one).encode()).digest(), one)
    decision = decide(whole.documents(), "documents", thresholds)
    figures["decided_s"] = round(time.monotonic() - begun, 2)
    figures["shapes"], figures["groups"] = len(shapes), len(groups)
    figures["form"], figures["columns"] = decision.plan.form, len(decision.table.columns)
    begun = time.monotonic()
    maker = RowMaker(decision.table)
    for line in lines:
        maker.rows(json.loads(line))
    figures["rows_s"] = round(time.monotonic() - begun, 2)
    print(
        json.dumps(figures) if given.json else "\n".join(f"{k:<14}{v}" for k, v in figures.items())
    )
    if figures["decided_s"] > GOAL_S * given.documents / 100_000:
        raise SystemExit(f"the goal is {GOAL_S:g} s for 100,000 documents")


if __name__ == "__main__":
    main()
