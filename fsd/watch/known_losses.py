"""What is known to be lost: it owns that judgement for the store's health, and reads no content.

Lost is what no disk gives now: shards without a disk that can be read, content that is damaged on
all of its disks or went with a shard that was given up, and parts of a batch's list of files that
no shard has. What lies on a disk that is only away is lost until that comes back; `drystone losses`
names every file.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from base.text import count_text
from fsd.documents.models import Notice
from fsd.format.catalog import CatalogShard
from fsd.format.errors import CorruptError
from fsd.repair.index_figures import names_of_batches
from fsd.replicas.reconstruct import GivenUp
from fsd.store.availability import Availability
from fsd.store.index import IndexReader
from fsd.store.store import Store
from fsd.watch.watch import Watch

NAMED_MAX = 3


@dataclass(frozen=True, slots=True)
class KnownLosses:
    """What no disk gives: shards by id, objects by key, and batches by name.

    `given_up` are keys of objects that are in no shard any more.
    """

    unreadable: tuple[str, ...]
    damaged: tuple[str, ...]
    keys: frozenset[str]
    given_up: tuple[str, ...]
    lists: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.unreadable or self.damaged or self.keys or self.given_up or self.lists)


def known_losses(watch: Watch) -> KnownLosses:
    """Return what no disk gives, as far as that is known without reading."""
    store = watch.engine.store
    damaged = watch.engine.replicator.reconstructor.given_up
    with store.lock:
        shards = [s for s in store.shards.state.shards.values() if not s.vacated]
    unreadable = tuple(s.shard_id for s in shards if not store.replicas(s.shard_id))
    given_up = _given_up(store)
    return KnownLosses(
        unreadable=unreadable,
        damaged=tuple(s.shard_id for s in shards if _is_damaged(store, s, damaged.get(s.shard_id))),
        keys=frozenset(watch.scrubber.damage.lost_keys()),
        given_up=given_up,
        # Only these two lose a part; to look for each of ten thousand batches takes a while.
        lists=_lost_lists(store) if unreadable or given_up else (),
    )


def _is_damaged(store: Store, shard: CatalogShard, given_up: GivenUp | None) -> bool:
    """Return whether a shard that can be read has something living that no replica here gives.

    Two damaged replicas may make one sound one; that is not known before it was tried.
    """
    replicas = store.replicas(shard.shard_id)
    if not replicas or store.sound_copies(shard.shard_id):
        return False
    return len(replicas) == 1 if given_up is None else not given_up.deleted


def _given_up(store: Store) -> tuple[str, ...]:
    known = store.lost_keys.known()
    if not known or store.is_unfinished:
        return ()
    availability = Availability(store)
    with store.index.read() as reader:
        lost = tuple(
            key
            for key in sorted(known)
            # Put again it has another place, and purged none.
            if reader.locate(bytes.fromhex(key))
            and availability.why_lost(reader, bytes.fromhex(key))
        )
    store.lost_keys.forget(known.difference(lost))
    return lost


def _lost_lists(store: Store) -> tuple[str, ...]:
    if store.is_unfinished:
        return ()  # The index does not know yet where everything is.
    lost: set[str] | None = None
    # What was moved just now may have been looked for at its former place: only what is missed
    # twice is.
    for _ in range(2):
        with store.index.read() as reader:
            names = names_of_batches(reader) if lost is None else lost
            availability = Availability(store)
            lost = {name for name in names if _misses(reader, name, availability)}
        if not lost:
            break
    return tuple(sorted(lost or ()))


def _misses(reader: IndexReader, batch: str, availability: Availability) -> bool:
    try:
        return any(availability.why_lost(reader, key) for key in reader.batch_parts(batch))
    except CorruptError:
        return False  # A damaged index is a warning of its own, and no loss.


def loss_notices(losses: KnownLosses) -> list[Notice]:
    """Return what a person should know of shards and lists that no disk gives, and do."""
    found: list[Notice] = []
    if losses.unreadable:
        found.append(
            Notice(
                code="unreadable",
                severity="critical",
                message=f"{count_text(len(losses.unreadable), 'shard')} cannot be read from any "
                "disk now",
                advice="bring the missing disks back before anything else; one that was declared "
                "gone comes back with drystone disk add PATH. If none of them can: drystone losses "
                "names the files, put them again from their source",
            )
        )
    if losses.given_up:
        found.append(
            Notice(
                code="lost-objects",
                severity="critical",
                message=f"no disk gives {count_text(len(losses.given_up), 'object')} any more that "
                f"had been stored: {_some(losses.given_up)}",
                advice="drystone losses names the files; put them again from their source",
            )
        )
    if losses.lists:
        found.append(
            Notice(
                code="lost-list",
                severity="critical",
                message="no disk gives a part of the list of files of "
                f"{count_text(len(losses.lists), 'batch', 'batches')}: {_some(losses.lists)}",
                advice="bring missing disks back; else put its files again as another batch, and "
                "purge this one (drystone purge --batch NAME --dry-run tells what that does)",
            )
        )
    return found


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + f" and {more:,} more" * (more > 0)
