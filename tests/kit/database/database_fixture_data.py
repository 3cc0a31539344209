"""The seeded fixture of the database (S08): it owns a small scraped world as write-intents.

Three platforms with their own tables, four ingest batches, authors who come in several, files with
one sha256 and two stories, posts scraped twice, replies, reposts, albums whose files came first,
crops and key frames made by actions. At least 95 of 100 files are small. Only `Random.random`
decides, so every version of Python makes the same; `fixture_hash` is asserted by a test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar

from sql import Database, DeclaredTable
from sql.core.declared import Column
from sql.intent.intent import (
    ArchiveLocation,
    CommonMetadata,
    Edge,
    NodeFlag,
    PhysicalNode,
    Relationship,
    SourceMetadata,
    VirtualNode,
    WriteIntent,
    digest_of,
    key_of,
)

SEED = 8
NODES_DEFAULT = 2_000
SMALL_BYTES_MAX = 200_000
POSTS_PER_INTENT = 60
START = datetime(2024, 3, 1, 12, tzinfo=UTC)
ACTION_CROP, ACTION_FRAME = 40, 41
ACTIONS = ((ACTION_CROP, "crop_faces", "AC4"), (ACTION_FRAME, "key_frames", "AC4"))
BATCHES = ("birdsite-march", "gallery-march", "forum-march", "birdsite-april")
RELATIONSHIPS = (
    Relationship(description="contains", forms_tree=True),
    Relationship(description="authored", forms_tree=False),
    Relationship(description="reply", forms_tree=False),
    Relationship(description="repost", forms_tree=False),
    Relationship(description="crop", forms_tree=True, action_id=ACTION_CROP),
    Relationship(description="frame", forms_tree=True, action_id=ACTION_FRAME),
)
TITLES = (
    "A walk along the wall",
    "雨の日の石垣",
    "قصر قديم على التل",
    "Robert'); DROP TABLE node; --",
    "🧱🧱🧱",
    'quotes " and \\ backslashes\tand\nlines',
    "%s %(name)s {} $1",
)
USERS = ("ada", "grace", None)

Item = TypeVar("Item")


def _table(name: str, comment: str, *columns: tuple[str, str, str]) -> DeclaredTable:
    parsed = tuple(Column(name=one, type=kind, comment=text) for one, kind, text in columns)
    return DeclaredTable(kind="source", name=name, version=1, comment=comment, columns=parsed)


TABLES = (
    _table(
        "birdsite",
        "A site of short posts",
        ("like_count", "bigint", "Likes"),
        ("repost_count", "bigint", "Reposts"),
        ("hashtags", "text[]", "Hashtags without #"),
        ("language", "text", "Language code"),
    ),
    _table(
        "gallery",
        "A site of pictures",
        ("bookmark_count", "bigint", "Bookmarks"),
        ("width", "integer", "Width in pixels"),
        ("height", "integer", "Height in pixels"),
        ("rating", "double precision", "Mean of the votes"),
        ("is_sensitive", "boolean", "Marked as sensitive"),
    ),
    _table(
        "forum",
        "A site of threads",
        ("score", "bigint", "Votes up minus down"),
        ("posted_on", "date", "Day of the post"),
        ("edited_time", "timestamptz", "When it was edited"),
        ("subforum", "text", "Where in the forum"),
    ),
)


@dataclass(frozen=True, slots=True)
class Fixture:
    """Everything in the order in which it must be applied."""

    tables: tuple[DeclaredTable, ...]
    intents: tuple[WriteIntent, ...]


@dataclass(slots=True)
class _Draft:
    """One intent in the making."""

    virtual: dict[str, VirtualNode] = field(default_factory=dict)
    physical: dict[str, PhysicalNode] = field(default_factory=dict)
    common: list[CommonMetadata] = field(default_factory=list)
    source: list[SourceMetadata] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    late_edges: list[Edge] = field(default_factory=list)

    def intents(self, name: str, batch: str) -> list[WriteIntent]:
        """Half of the album edges come in an intent of their own, after the files."""
        first = WriteIntent(
            intent_id=name,
            ingest_batch=batch,
            virtual_nodes=tuple(self.virtual.values()),
            physical_nodes=tuple(self.physical.values()),
            common_metadata=tuple(self.common),
            source_metadata=tuple(self.source),
            relationships=RELATIONSHIPS,
            edges=tuple(self.edges),
        )
        late = WriteIntent(
            intent_id=f"{name}-late",
            ingest_batch=batch,
            relationships=RELATIONSHIPS,
            edges=tuple(self.late_edges),
        )
        return [first, late] if self.late_edges else [first]


class _World:
    """What exists so far; later batches meet it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.posts: dict[str, list[str]] = {table.name: [] for table in TABLES}
        self.files: list[PhysicalNode] = []
        self.number = 0

    def below(self, limit: int) -> int:
        return int(self.random.random() * limit)

    def one_of(self, items: Iterable[Item]) -> Item:
        listed = list(items)
        return listed[self.below(len(listed))]

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent

    def new_file(self, extension: str | None = None) -> PhysicalNode:
        key = hashlib.sha256(f"file {len(self.files)}".encode()).hexdigest()
        # Every fiftieth is middle-sized or large: 98 of 100 are small.
        size = 500 + self.below(SMALL_BYTES_MAX - 500)
        if len(self.files) % 50 == 49:
            size = 300_000 + self.below(3_000_000 if self.chance(80) else 30_000_000)
        kinds = ("jpg",) * 12 + ("png",) * 4 + ("webp", "mp4", "mp4", "mp3", "txt")
        made = PhysicalNode(key=key, size_bytes=size, extension=extension or self.one_of(kinds))
        self.files.append(made)
        return made

    # ---- One post with its files ------------------------------------------------------------

    def add_post(self, draft: _Draft, source: str) -> None:
        self.number += 1
        post = f"{source}:post:{self.number}"
        author = f"{source}:user:{self.below(14)}"
        for description in (author, post):
            draft.virtual[description] = VirtualNode(description=description)
        draft.edges.append(_edge(author, post, "authored"))
        for kind, percent in (("reply", 20), ("repost", 10)):
            if self.posts[source] and self.chance(percent):
                earlier = self.one_of(self.posts[source][-40:])
                draft.edges.append(_edge(earlier, post, kind))
        self.observe(draft, source, key_of(post), author, is_root=False)
        # The author again at most posts: the same observation is kept once.
        self.observe_author(draft, source, author)
        for position in range(1 + self.below(4)):
            self.add_file(draft, source, post, author, position)
        self.posts[source].append(post)

    def add_file(self, draft: _Draft, source: str, post: str, author: str, position: int) -> None:
        # Some bytes were seen before, at other posts of other sites, with other words.
        known = len(self.files) > 20 and self.chance(5)
        file = self.one_of(self.files) if known else self.new_file()
        draft.physical[file.key] = file
        edges = draft.late_edges if self.chance(30) else draft.edges
        edges.append(
            Edge(parent=key_of(post), child=file.key, relationship="contains", position=position)
        )
        self.observe(draft, source, file.key, author, is_root=True)

    def observe(self, draft: _Draft, source: str, key: str, author: str, *, is_root: bool) -> None:
        posted = START + timedelta(minutes=37 * self.number)
        scraped = START + timedelta(days=40, minutes=self.number)
        draft.common.append(
            CommonMetadata(
                key=key,
                source=source,
                is_root=is_root,
                title=f"{self.one_of(TITLES)} {self.number}" if self.chance(90) else None,
                view=self.below(10_000) if self.chance(70) else None,
                update_time=posted,
                download_time=scraped,
                author_description=author,
                user=self.one_of(USERS),
                raw_metadata=f'{{"id": {self.number}}}',
            )
        )
        values = self.values(source)
        draft.source.append(
            SourceMetadata(key=key, source=source, download_time=scraped, values=values)
        )

    def observe_author(self, draft: _Draft, source: str, author: str) -> None:
        draft.common.append(
            CommonMetadata(
                key=key_of(author),
                source=source,
                is_root=False,
                title=f"Author {author.rpartition(':')[2]}",
                author_description=author,
            )
        )

    def values(self, source: str) -> dict[str, object]:
        if source == "birdsite":
            return {
                "like_count": self.below(900) if self.chance(80) else None,
                "repost_count": self.below(90),
                "hashtags": [self.one_of(("wall", "石", "sunset")) for _ in range(self.below(3))],
                "language": self.one_of(("en", "ja", "ar")),
            }
        if source == "gallery":
            return {
                "bookmark_count": self.below(500),
                "width": 320 + self.below(4000),
                "height": 320 + self.below(4000),
                "rating": self.below(50) / 10,
                "is_sensitive": self.chance(10),
            }
        day = START + timedelta(days=self.below(60))
        return {
            "score": self.below(400) - 100,
            "posted_on": day.date().isoformat(),
            "edited_time": day.isoformat() if self.chance(20) else None,
            "subforum": self.one_of(("walls", "gates", "bridges")),
        }


def _edge(parent: str, child: str, relationship: str) -> Edge:
    return Edge(parent=key_of(parent), child=key_of(child), relationship=relationship)


def make_fixture(nodes: int = NODES_DEFAULT, seed: int = SEED) -> Fixture:
    """Make about that many nodes: authors, posts, files, crops and frames."""
    world = _World(seed)
    # A post brings itself, 2.5 files, and 0.3 * 2 crops or frames of most files.
    posts_per_batch = max(4, round(nodes / 5 / len(BATCHES)))
    intents: list[WriteIntent] = []
    for batch in BATCHES:
        source = batch.partition("-")[0]
        if batch.endswith("april"):
            intents.append(_scraped_again(world, intents, batch))
        for first in range(0, posts_per_batch, POSTS_PER_INTENT):
            draft = _Draft()
            for _ in range(min(POSTS_PER_INTENT, posts_per_batch - first)):
                world.add_post(draft, source)
            intents += draft.intents(f"{batch}-{first}", batch)
    intents.append(_derived(world, ACTION_CROP, "crop", ("jpg", "png", "webp"), is_root=False))
    intents.append(_derived(world, ACTION_FRAME, "frame", ("mp4",), is_root=True))
    intents.append(_flags_and_archive(world))
    return Fixture(TABLES, tuple(intents))


def _scraped_again(world: _World, former: list[WriteIntent], batch: str) -> WriteIntent:
    """The posts of the first intent a month later: other counts, the same nodes."""
    first = former[0]
    later = timedelta(days=30)
    return WriteIntent(
        intent_id=f"{batch}-again",
        ingest_batch=batch,
        virtual_nodes=first.virtual_nodes,
        common_metadata=tuple(
            row.model_copy(
                update={"view": (row.view or 0) + 100, "download_time": row.download_time + later}
            )
            for row in first.common_metadata
            if row.download_time is not None and not row.is_root
        ),
        edges=first.edges[:10],
        relationships=RELATIONSHIPS,
    )


def _derived(
    world: _World, action_id: int, word: str, extensions: tuple[str, ...], *, is_root: bool
) -> WriteIntent:
    parents = [file for file in world.files if file.extension in extensions]
    parents = [file for file in parents if world.chance(30)]
    pairs = [(parent, world.new_file("jpg"), n) for parent in parents for n in range(2)]
    return WriteIntent(
        intent_id=f"action-{word}",
        physical_nodes=tuple(child for _, child, _ in pairs),
        common_metadata=tuple(
            CommonMetadata(key=child.key, source="gallery", is_raw=False, is_root=is_root)
            for _, child, _ in pairs
        ),
        relationships=RELATIONSHIPS,
        edges=tuple(
            Edge(
                parent=parent.key,
                child=child.key,
                relationship=word,
                position=position,
                action_id=action_id,
            )
            for parent, child, position in pairs
        ),
    )


def _flags_and_archive(world: _World) -> WriteIntent:
    return WriteIntent(
        intent_id="flags-and-archive",
        flags=(
            *(NodeFlag(key=file.key, in_black_list=True) for file in world.files[3:200:40]),
            *(NodeFlag(key=file.key, is_delete=True) for file in world.files[7:200:50]),
        ),
        archive_locations=tuple(
            ArchiveLocation(key=file.key, filepath=f"package-1:files/{number}.{file.extension}")
            for number, file in enumerate(world.files[:100])
        ),
    )


def fixture_hash(fixture: Fixture) -> str:
    """Return one hash over all tables and intents."""
    digest = hashlib.sha256()
    for table in fixture.tables:
        digest.update(table.model_dump_json(exclude_defaults=True).encode())
    for intent in fixture.intents:
        digest.update(digest_of(intent))
    return digest.hexdigest()


def fill_database(database: Database, fixture: Fixture) -> None:
    """Declare and apply all of it; the database should be the test's own."""
    for table in fixture.tables:
        database.declare(table)
    for action_id, name, kind in ACTIONS:
        database.actions.declare_action(action_id, name, kind)
    for batch in BATCHES:
        database.ingests.open(batch, "fixture", "ada", f"/inbox/{batch}")
    for intent in fixture.intents:
        database.apply_intent(intent)
