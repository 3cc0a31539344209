"""A store with pets in it: it owns posts with pictures, their labels, and definitions to ask them.

Everything goes in as it does in life: bytes through BatchWrite, rows through write-intents.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

from store_harness import Store, write_files

from fsd import load_config
from sql import (
    Column,
    CommonMetadata,
    Database,
    DeclaredTable,
    Edge,
    PhysicalNode,
    Relationship,
    ResultRow,
    VirtualNode,
    WriteIntent,
    key_of,
)
from sql.intent.intent import NodeFlag

LABEL = DeclaredTable(
    kind="action",
    name="pet_label",
    version=1,
    comment="Which pet",
    columns=(
        Column(name="label", type="text", comment="The pet"),
        Column(name="score", type="double precision", comment="How sure"),
        Column(name="tags", type="text[]", comment="Several"),
        Column(name="group_id", type="bigint", comment="What looks alike"),
        Column(name="width", type="integer", comment="Pixels"),
        Column(name="height", type="integer", comment="Pixels"),
    ),
)
BOX = DeclaredTable(
    kind="action",
    name="pet_box",
    version=1,
    comment="Where the pet is",
    columns=(
        Column(name="label", type="text", comment="The pet"),
        *(
            Column(name=name, type="double precision", comment="Pixels")
            for name in ("x", "y", "width", "height", "score")
        ),
    ),
)
SOURCE = DeclaredTable(
    kind="source",
    name="pets",
    version=1,
    comment="A source",
    columns=(Column(name="likes", type="bigint", comment="Likes"),),
)


@dataclass
class Picture:
    """A picture of a post: `labels` has one row of results each."""

    post: str
    number: int
    labels: tuple[str, ...] = ()
    title: str | None = None
    data: bytes = b""
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data = self.data or f"picture {self.post} {self.number}".encode()

    @property
    def key(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass
class House:
    """A running store with its database."""

    store: Store
    database: Database
    intents: int = 0
    batches: int = 0

    @property
    def config_path(self) -> str:
        return self.store.config_path

    def area(self, name: str) -> str:
        return self.store.config.area_path(name)

    def rows(self, query: str) -> list[tuple]:
        with self.database.connection() as connection:
            return connection.execute(query).fetchall()

    def change(self, statement: str) -> int:
        with self.database.connection() as connection:
            return connection.execute(statement).rowcount

    def restart(self) -> None:
        """Start the engine with the configuration as it is written now."""
        self.store.config = load_config(self.config_path)
        self.store.start()

    def event(self, action: str, status: str = "done", node_ids: list[int] | None = None) -> int:
        """Record a run of an action over nodes; returns the event."""
        known = dict(self.rows("SELECT name, action_id FROM action"))
        number = known.get(action) or len(known) + 10
        self.database.actions.declare_action(number, action, "AC2")
        batch = self.database.action_context.make_sealed_batch(node_ids or [])
        return self.database.actions.record_action_history(number, batch, status)

    def batch_of(self, event: int) -> int:
        """Return the batch that an event was over."""
        ((batch,),) = self.rows(f"SELECT action_batch_id FROM action_event WHERE id = {event}")
        return batch

    def add(self, pictures: list[Picture]) -> None:
        """Store and describe pictures, their posts and authors, and their labels."""
        self.batches += 1
        folder = os.path.join(self.store.root, f"scrape-{self.batches}")
        files = {f"{one.key}.png": one.data for one in pictures}
        self.store.put(write_files(folder, files), f"pets-{self.batches}")
        self.database.declare(SOURCE)
        posts = sorted({one.post for one in pictures})
        authors = {post: f"pets:user:{post[0]}" for post in posts}
        self._apply(
            physical_nodes=tuple(
                PhysicalNode(key=one.key, size_bytes=len(one.data), extension="png")
                for one in {one.key: one for one in pictures}.values()
            ),
            virtual_nodes=tuple(
                VirtualNode(description=text)
                for text in (*(f"pets:post:{post}" for post in posts), *set(authors.values()))
            ),
            relationships=(
                Relationship(description="contains", action_id=0, forms_tree=True),
                Relationship(description="authored", action_id=0, forms_tree=False),
            ),
            edges=tuple(
                Edge(parent=key_of(f"pets:post:{one.post}"), child=one.key, relationship="contains")
                for one in {(one.post, one.key): one for one in pictures}.values()
            )
            + tuple(
                Edge(
                    parent=key_of(authors[post]),
                    child=key_of(f"pets:post:{post}"),
                    relationship="authored",
                )
                for post in posts
            ),
            common_metadata=tuple(
                CommonMetadata(
                    key=key_of(f"pets:post:{post}"),
                    source="pets",
                    is_raw=True,
                    is_root=False,
                    title=f"A post of {post}",
                )
                for post in posts
            )
            + tuple(
                CommonMetadata(
                    key=one.key, source="pets", is_raw=True, is_root=True, title=one.title
                )
                for one in pictures
                if one.title
            ),
        )
        self._label(pictures)

    def _label(self, pictures: list[Picture]) -> None:
        self.database.declare(LABEL)
        event = self.event("pet_label")
        rows = [
            ResultRow(
                action="pet_label",
                key=one.key,
                action_event_id=event,
                values={"label": label, **one.extra},
            )
            for one in pictures
            for label in (one.labels or ((None,) if one.extra else ()))
        ]
        if rows:
            self._apply(results=tuple(rows))

    def boxes(self, boxes: list[tuple[str, str, float, float, float, float]]) -> None:
        """Add rows of (key, label, x, y, width, height)."""
        self.database.declare(BOX)
        event = self.event("pet_box")
        names = ("label", "x", "y", "width", "height")
        rows = tuple(
            ResultRow(
                action="pet_box",
                key=key,
                action_event_id=event,
                values=dict(zip(names, values, strict=True)),
            )
            for key, *values in boxes
        )
        self._apply(results=rows)

    def describe_only(self, picture: Picture) -> str:
        """Let the database know a picture that the store has not."""
        node = PhysicalNode(key=picture.key, size_bytes=len(picture.data), extension="png")
        self._apply(physical_nodes=(node,))
        return picture.key

    def flag(self, key: str, **flags: bool) -> None:
        self._apply(flags=(NodeFlag(key=key, **flags),))

    def join(self, keys: list[str], post: str) -> None:
        """Let one more post contain these pictures."""
        parent = f"pets:post:{post}"
        self._apply(
            virtual_nodes=(VirtualNode(description=parent),),
            edges=tuple(
                Edge(parent=key_of(parent), child=key, relationship="contains") for key in keys
            ),
        )

    def manifest(self, key: str) -> list[dict[str, Any]]:
        """Return the entries of a stored manifest."""
        return [json.loads(line) for line in self._read(key).splitlines()]

    def document(self, key: str) -> dict[str, Any]:
        """Return a stored document."""
        return json.loads(self._read(key))

    def _read(self, key: str) -> str:
        path = os.path.join(self.store.root, f"read-{key}")
        if not os.path.exists(path):
            self.store.client.read(key, path)
        with open(path, encoding="ascii") as file:
            return file.read()

    def node(self, key: str) -> int:
        return self.database.datasets.node_of(key)

    def _apply(self, **parts: Any) -> None:
        self.intents += 1
        self.database.apply_intent(
            WriteIntent(version=1, intent_id=f"test-{self.intents}", **parts)
        )


def make_house(store: Store, dsn: str) -> House:
    """Tie a store to a database by its drystone.toml."""
    with open(store.config_path, "a", encoding="utf-8") as file:
        file.write(f"\n[database]\ndsn = {json.dumps(dsn)}\n")
    return House(store, Database.connect(dsn))


def pets(cats: int = 12, dogs: int = 9, per_post: int = 2) -> list[Picture]:
    """Posts of one class each, `per_post` pictures in every one."""
    return [
        Picture(f"{kind[0]}{number // per_post}", number, (kind,), title=f"{kind} {number}")
        for kind, count in (("cat", cats), ("dog", dogs))
        for number in range(count)
    ]


def definition(**parts: Any) -> dict[str, Any]:
    """A definition of all pictures, labelled, in three splits; `parts` replaces or adds."""
    return {
        "version": 1,
        "name": "pets",
        "selector": {"version": 1, "where": {"media_type": "image"}},
        "labels": {"from": {"result": {"action": "pet_label", "column": "label"}}},
        "splits": {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}, "seed": 7},
        "layout": "flat",
        **parts,
    }
