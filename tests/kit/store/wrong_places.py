"""Wrong places in an index: it owns making them, as flipped bits in LMDB would."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import lmdb
from store_harness import Store

from fsd.format.index_rows import pack_location, unpack_location
from fsd.store.index import Location

Change = Callable[[Location], Location]


def misplace(store: Store, keys: Mapping[str, Change]) -> None:
    """Change places in the index of a store that is stopped for it, as flipped bits would."""
    store.stop()
    root = store.config.index_root
    with open(os.path.join(root, "CURRENT"), encoding="ascii") as file:
        path = os.path.join(root, file.read().strip())
    environment = lmdb.open(path, max_dbs=16, map_size=1 << 38)
    objects = environment.open_db(b"objects")
    with environment.begin(write=True) as writer:
        for key, change in keys.items():
            place = change(unpack_location(writer.get(bytes.fromhex(key), db=objects)))
            writer.put(bytes.fromhex(key), pack_location(place), db=objects)
    environment.close()
    store.start()


def move(bit: int) -> Change:
    return lambda place: place._replace(offset=place.offset ^ 1 << bit)
