"""A house with pictures, a post and variants, for tests of actions: it owns no test."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, field

from ingest_harness import House
from store_harness import write_files

from adapters.actions.contract.check import LoadedContract, load_contract
from sql import (
    CommonMetadata,
    DeclaredTable,
    Edge,
    PhysicalNode,
    Relationship,
    VirtualNode,
    WriteIntent,
    parse_selector,
)
from sql.intent.intent import NodeFlag

POST = "example:post:1"
IMAGES = parse_selector("version: 1\nwhere: {media_type: image}")


@dataclass
class World:
    """Node ids and keys by the names of files; `post` is the virtual parent of all pictures."""

    house: House
    contents: dict[str, bytes]
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    def name_of(self, node_id: int) -> str:
        return next(name for name, known in self.ids.items() if known == node_id)


def make_world(house: House, contents: dict[str, bytes], titles: dict[str, str]) -> World:
    """Store files and describe them; titles are observations of a source `example`."""
    world = World(house, contents)
    folder = write_files(house.area("3a") + "/world", contents)
    world.keys = house.store.put(folder, "world")
    house.database.declare(
        DeclaredTable(kind="source", name="example", version=1, comment="Tests", columns=())
    )
    post = VirtualNode(description=POST)
    house.database.apply_intent(
        WriteIntent(
            intent_id="world",
            virtual_nodes=(post,),
            physical_nodes=tuple(
                PhysicalNode(
                    key=world.keys[name], size_bytes=len(data), extension=name.rpartition(".")[2]
                )
                for name, data in contents.items()
            ),
            common_metadata=tuple(
                CommonMetadata(
                    key=world.keys[name],
                    source="example",
                    is_root=True,
                    title=title,
                    download_time=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
                )
                for name, title in titles.items()
            ),
            relationships=(Relationship(description="contains", forms_tree=True),),
            edges=tuple(
                Edge(parent=post.key, child=key, relationship="contains", position=place)
                for place, key in enumerate(world.keys.values())
            ),
        )
    )
    for row in house.database.query_nodes(parse_selector("version: 1")):
        name = next((n for n, key in world.keys.items() if key == row.key), "post")
        world.ids[name] = row.node_id
    return world


def connect(world: World, parent: str, child: str, relationship: str = "contains") -> None:
    """Add an edge between two files."""
    house, name = world.house, f"{parent}-{relationship}-{child}"
    house.database.apply_intent(
        WriteIntent(
            intent_id=f"edge {name}",
            relationships=(Relationship(description=relationship, forms_tree=True),),
            edges=(
                Edge(
                    parent=world.keys[parent],
                    child=world.keys[child],
                    relationship=relationship,
                ),
            ),
        )
    )


def hide(world: World, name: str, *, delete: bool = True) -> None:
    """Delete (type A) or black-list a file."""
    flag = NodeFlag(key=world.keys[name], is_delete=delete, in_black_list=not delete)
    intent = WriteIntent(intent_id=f"hide {name}", flags=(flag,))
    world.house.database.apply_intent(intent)


def load(tmp_path, text: str, name: str = "contract") -> LoadedContract:
    """Write a contract file and load it."""
    folder = tmp_path / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "contract.yaml").write_text(text)
    return load_contract(str(folder))


def picture(number: int) -> bytes:
    """Bytes that differ; actions under test never look at them."""
    return b"\x89PNG\r\n\x1a\n" + hashlib.sha256(b"%d" % number).digest() * (1 + number % 5)
