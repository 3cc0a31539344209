"""What of a damaged shard lies elsewhere in the store: it owns finding and reading it."""

from fsd.format.catalog import CatalogShard
from fsd.format.errors import NoReplicaError
from fsd.format.record import Entry
from fsd.store.index import Location
from fsd.store.read import read_piece
from fsd.store.store import Store


def other_places(store: Store, shard: CatalogShard, entry: Entry) -> list[Location]:
    """Return where a record's content lies besides in its shard, sorted."""
    number = store.shards.numbers.get(shard.shard_id)
    with store.index.read() as reader:
        found = [reader.locate(entry.key), *reader.spares(entry.key)]
    return sorted(one for one in found if one is not None and one.shard_number != number)


def read_elsewhere(store: Store, places: list[Location], entry: Entry, piece: int) -> bytes | None:
    """Return a verified piece (1 MiB, by number) of a record from one of these places, or None."""
    for location in places:
        try:
            return read_piece(store, location, entry.key, piece)
        except NoReplicaError:
            continue
    return None
