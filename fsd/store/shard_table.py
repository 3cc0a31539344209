"""The shard table of an open store: what the catalog says of shards, and what the engine knows."""

from dataclasses import dataclass, field

from fsd.format.catalog import CatalogState


@dataclass(slots=True)
class ShardTable:
    """Every live shard (from the catalog), its index number, and which replicas are not usable.

    Those that are `writing` grow; of these the index takes all records in anew once they are sealed
    when they are in `retaken`: a purge that may be voided made it forget some. Those that are
    `unread` were left open by a killed engine, and no recovery has looked at them yet.
    """

    state: CatalogState = field(default_factory=CatalogState)
    numbers: dict[str, int] = field(default_factory=dict[str, int])
    ids: dict[int, str] = field(default_factory=dict[int, str])
    lost: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    suspect: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    writing: set[str] = field(default_factory=set[str])
    retaken: set[str] = field(default_factory=set[str])
    unread: set[str] = field(default_factory=set[str])

    def name(self, shard_id: str, number: int) -> None:
        """Tie a shard id to its number in the index."""
        self.numbers[shard_id] = number
        self.ids[number] = shard_id
