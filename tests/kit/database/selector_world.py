"""A small random database for selectors: it owns the rows, as Python has them and as they go in.

Rows are inserted plainly, so that nothing of our writing code is trusted here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sql import Column, Database, DeclaredTable

SOURCES = ("alpha", "beta")
RELATIONSHIPS = {"contains": True, "crop": True, "authored": False, "reply": False}
EXTENSIONS = {"jpg": "image", "png": "image", "mp4": "video", "txt": "text"}
# Hostile on purpose: wildcards, quotes, backslashes, case, letters beyond ASCII.
WORDS = (
    "cat", "CAT", "Cat food", "100%", "100x", "a_b", "axb", "it's", '"q"', "back\\slash", "Ärger",
    "ärger", "雨", "%", "_", "\\", "'; DROP TABLE node; --", "%(p1)s", "{}", " ",
)  # fmt: skip
DESCRIPTIONS = tuple(
    f"{source}:{kind}:{name}"
    for source in SOURCES
    for kind in ("user", "post")
    for name in ("1", "2", "x_y", "xzy", "%", "long" * 20 + "1", "long" * 20 + "2")
)
START = datetime(2024, 3, 1, tzinfo=UTC)
TIMES = tuple(START + timedelta(hours=6 * step) for step in range(12))
USERS = ("ann", "Bob", "%")
ACTIONS = {"ocr": 10, "faces": 11, "crops": 12}
PIPELINES = {"both": ("ocr", "faces"), "one": ("crops",)}
ENROLLED = {"both": (1, 3), "one": (2,)}
NUMBERS = (0, 1, 2, 5, 10, 2**53 + 1, -3)

ALPHA = DeclaredTable(
    kind="source",
    name="alpha",
    version=1,
    comment="A source",
    columns=tuple(
        Column(name=name, type=kind, comment=name)
        for name, kind in (
            ("likes", "bigint"), ("score", "double precision"), ("nsfw", "boolean"),
            ("handle", "text"), ("tags", "text[]"), ("ids", "bigint[]"), ("day", "date"),
            ("at", "timestamptz"), ("hash", "bytea"), ("width", "integer"),
        )
    ),
)  # fmt: skip
OCR = DeclaredTable(
    kind="action",
    name="ocr",
    version=1,
    comment="An action",
    columns=(
        Column(name="position", type="integer", comment="Where"),
        Column(name="word", type="text", comment="What"),
    ),
)


@dataclass
class Node:
    node_id: int
    sha256: bytes
    description: str | None
    content: dict[str, Any] | None
    root_id: int = 0
    component_id: int = 0
    depth: int = 0
    metadata: list[dict[str, Any]] = field(default_factory=list)
    alpha: list[dict[str, Any]] = field(default_factory=list)
    ocr: list[dict[str, Any]] = field(default_factory=list)
    action_batches: set[int] = field(default_factory=set)
    ingest_batches: set[str] = field(default_factory=set)


@dataclass
class World:
    """Everything that is in the database, as Python has it."""

    nodes: dict[int, Node]
    edges: list[tuple[int, int, str]]
    done: set[tuple[int, str]]
    """Batches for all of which an action is done."""
    done_alone: set[tuple[int, str, int]]
    """Nodes for which it is done in a batch for which it is not."""


def make_world(seed: int, count: int = 45) -> World:
    random = Random(seed)
    nodes: dict[int, Node] = {}
    descriptions = random.sample(DESCRIPTIONS, 14)
    for node_id in range(1, count + 1):
        description = descriptions.pop() if descriptions and random.random() < 0.4 else None
        content = None
        if description is None or random.random() < 0.15:
            content = {
                "size_bytes": random.choice((0, 1, 10, 100, 2**40)),
                "extension": random.choice(tuple(EXTENSIONS)),
                "create_time": random.choice(TIMES),
                "is_delete": random.random() < 0.15,
                "in_black_list": random.random() < 0.15,
            }
        key = hashlib.sha256((description or f"{seed} {node_id}").encode()).digest()
        nodes[node_id] = Node(node_id, key, description, content)
    world = World(nodes, sorted(_edges(random, count)), set(), set())
    _derive(world)
    for node in nodes.values():
        _observe(node, random)
    batches = {number: random.sample(sorted(nodes), random.randrange(12)) for number in (1, 2, 3)}
    for number, members in batches.items():
        for node_id in members:
            nodes[node_id].action_batches.add(number)
    for number in batches:
        for action in ACTIONS:
            if random.random() < 0.5:
                world.done.add((number, action))
            else:
                some = [node_id for node_id in batches[number] if random.random() < 0.4]
                world.done_alone.update((number, action, node_id) for node_id in some)
    return world


def outcome_of(world: World, batch: int, action: str, node_id: int) -> str:
    """Return what became of a node of a batch in the run of an action over it."""
    done = (batch, action) in world.done or (batch, action, node_id) in world.done_alone
    return "done" if done else "missing"


def _edges(random: Random, count: int) -> Iterator[tuple[int, int, str]]:
    seen = set()
    for _ in range(count):
        name = random.choice(tuple(RELATIONSHIPS))
        parent, child = random.sample(range(1, count + 1), 2)
        if RELATIONSHIPS[name]:
            parent, child = sorted((parent, child))
        if (parent, child, name) not in seen:
            seen.add((parent, child, name))
            yield parent, child, name


def _derive(world: World) -> None:
    """Tree edges lead from the lesser to the greater id, so one pass in order is enough."""
    tree = [(parent, child) for parent, child, name in world.edges if RELATIONSHIPS[name]]
    for node_id, node in world.nodes.items():
        parents = [world.nodes[parent] for parent, child in tree if child == node_id]
        node.root_id = min((parent.root_id for parent in parents), default=node_id)
        node.depth = max((parent.depth + 1 for parent in parents), default=0)
        node.component_id = node_id
    for _ in world.nodes:
        for parent, child in tree:
            low = min(world.nodes[parent].component_id, world.nodes[child].component_id)
            world.nodes[parent].component_id = world.nodes[child].component_id = low


def _maybe(random: Random, value: Any) -> Any:
    return value if random.random() < 0.7 else None


def _observe(node: Node, random: Random) -> None:
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        node.metadata.append(
            {
                "source": random.choice(SOURCES),
                "is_raw": random.random() < 0.7,
                "is_root": random.random() < 0.5,
                "title": _maybe(random, random.choice(WORDS)),
                "view": _maybe(random, max(0, random.choice(NUMBERS))),
                "update_time": _maybe(random, random.choice(TIMES)),
                "download_time": _maybe(random, random.choice(TIMES)),
                "author_description": _maybe(random, random.choice(DESCRIPTIONS)),
                "user": _maybe(random, random.choice(USERS)),
            }
        )
    for _ in range(random.choice((0, 0, 1, 2))):
        row = {
            "likes": random.choice(NUMBERS),
            "score": random.choice((0.5, -1.0, 1e300)),
            "nsfw": random.random() < 0.5,
            "handle": random.choice(WORDS),
            "tags": random.sample(WORDS, random.randrange(4)),
            "ids": random.sample(NUMBERS, random.randrange(3)),
            "day": (START + timedelta(days=random.randrange(3))).date(),
            "at": random.choice(TIMES),
            "hash": bytes([random.randrange(3)]),
            "width": random.choice((1, 640)),
        }
        node.alpha.append({name: _maybe(random, value) for name, value in row.items()})
    for _ in range(random.choice((0, 0, 1, 2))):
        node.ocr.append({"position": random.randrange(3), "word": random.choice(WORDS)})
    node.ingest_batches = {name for name in ("first", "second") if random.random() < 0.3}


def insert_world(database: Database, world: World) -> None:
    """Write the world into an empty database by plain statements."""
    database.declare(ALPHA)
    database.declare(OCR)
    with database.connection() as connection:
        run = connection.cursor().executemany
        run(
            "INSERT INTO source (description, meta_table_name) VALUES (%s, %s) "
            "ON CONFLICT DO NOTHING",
            [(name, f"meta_{name}") for name in SOURCES],
        )
        run(
            "INSERT INTO action (action_id, name, type) VALUES (%s, %s, 'AC2')",
            [(number, name) for name, number in ACTIONS.items()],
        )
        run(
            "INSERT INTO relationship (description, action_id, forms_tree) VALUES (%s, 0, %s)",
            list(RELATIONSHIPS.items()),
        )
        run(
            "INSERT INTO node (node_id, sha256, is_virtual, is_physical, root_id, component_id, "
            "depth) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (n.node_id, n.sha256, n.description is not None, n.content is not None,
                 n.root_id, n.component_id, n.depth)
                for n in world.nodes.values()
            ],
        )  # fmt: skip
        run(
            "INSERT INTO virtual_asset (description, node_id) VALUES (%s, %s)",
            [(n.description, n.node_id) for n in world.nodes.values() if n.description],
        )
        run(
            "INSERT INTO physical_content (node_id, file_size_bytes, create_time, in_black_list, "
            "is_delete, file_extension_id) SELECT %(node_id)s, %(size_bytes)s, %(create_time)s, "
            "%(in_black_list)s, %(is_delete)s, file_extension_id FROM file_type "
            "WHERE file_extension = %(extension)s",
            [{"node_id": n.node_id, **n.content} for n in world.nodes.values() if n.content],
        )
        run(
            "INSERT INTO edge (parent_node_id, child_node_id, relationship_id) "
            "SELECT %s, %s, relationship_id FROM relationship WHERE description = %s",
            world.edges,
        )
        _insert_observations(run, world)
        _insert_batches(run, world)
        # Nodes that intents add later go on behind ours.
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('node', 'node_id'), max(node_id)) FROM node"
        )
        connection.execute("ANALYZE node, edge, common_metadata, physical_content")


def _insert_observations(run: Callable[..., Any], world: World) -> None:
    rows = [
        {"node_id": n.node_id, "hash": number.to_bytes(16, "big"), **row}
        for n in world.nodes.values()
        for number, row in enumerate(n.metadata)
    ]
    run(
        "INSERT INTO common_metadata (node_id, source_id, is_raw, is_root, title, view, "
        'update_time, download_time, author_description, "user", observation_hash) SELECT '
        "%(node_id)s, source_id, %(is_raw)s, %(is_root)s, %(title)s, %(view)s, %(update_time)s, "
        "%(download_time)s, %(author_description)s, %(user)s, %(hash)s FROM source "
        "WHERE description = %(source)s",
        rows,
    )
    columns = [column.name for column in ALPHA.columns]
    run(
        f"INSERT INTO meta_alpha (node_id, observation_hash, {', '.join(columns)}) VALUES "
        f"(%(node_id)s, %(observation)s, {', '.join(f'%({name})s' for name in columns)})",
        [
            {"node_id": n.node_id, "observation": number.to_bytes(16, "big"), **row}
            for n in world.nodes.values()
            for number, row in enumerate(n.alpha)
        ],
    )


def _insert_batches(run: Callable[..., Any], world: World) -> None:
    run("INSERT INTO action_batch DEFAULT VALUES", [()] * 3)
    run(
        "INSERT INTO action_batch_node (action_batch_id, node_id) VALUES (%s, %s)",
        [(batch, n.node_id) for n in world.nodes.values() for batch in n.action_batches],
    )
    run(
        "INSERT INTO action_event (action_id, action_batch_id, status) VALUES (%s, %s, %s)",
        [
            (number, batch, "done" if (batch, name) in world.done else "failed")
            for name, number in ACTIONS.items()
            for batch in (1, 2, 3)
        ],
    )
    run(
        "INSERT INTO action_node (action_event_id, node_id, part, outcome) SELECT event.id, %s, 0, "
        "%s FROM action_event AS event WHERE action_id = %s AND action_batch_id = %s",
        [
            (n.node_id, outcome_of(world, batch, name, n.node_id), number, batch)
            for n in world.nodes.values()
            for batch in n.action_batches
            for name, number in ACTIONS.items()
        ],
    )
    run(
        "INSERT INTO result_ocr (node_id, action_event_id, position, word) VALUES "
        "(%(node_id)s, 1, %(position)s, %(word)s)",
        [{"node_id": n.node_id, **row} for n in world.nodes.values() for row in n.ocr],
    )
    run("INSERT INTO pipeline (name) VALUES (%s)", [(name,) for name in PIPELINES])
    run(
        "INSERT INTO pipeline_stage (pipeline_id, stage_id, action_id) "
        "SELECT id, %s, %s FROM pipeline WHERE name = %s",
        [
            (stage, ACTIONS[action], name)
            for name, actions in PIPELINES.items()
            for stage, action in enumerate(actions, 1)
        ],
    )
    run(
        "INSERT INTO pipeline_enrolment (pipeline_id, action_batch_id) "
        "SELECT id, %s FROM pipeline WHERE name = %s",
        [(batch, name) for name, batches in ENROLLED.items() for batch in batches],
    )
    run(
        "INSERT INTO ingest_batch (name, adapter, folder, state) VALUES (%s, '', '', 'frozen')",
        [("first",), ("second",)],
    )
    run(
        "INSERT INTO ingest_batch_node (ingest_batch_id, node_id) "
        "SELECT ingest_batch_id, %s FROM ingest_batch WHERE name = %s",
        [(n.node_id, name) for n in world.nodes.values() for name in n.ingest_batches],
    )
