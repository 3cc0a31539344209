"""The index when the engine starts: it owns bringing it up to date, or else how the store begins.

One that is damaged is made anew from the shards. One that finds no room on the SSD for what it
lacks stays as it is, and the store starts: nothing is called missing then (see
`Store.refuse_unfinished`) until housekeeping, or the next job, has found room for the rest. So it
is while a job reads what a killed engine left of open shards, where that is more than a little.
"""

from fsd.format.errors import DiskError, QuotaError
from fsd.repair.projection import (
    begin_generation,
    open_index,
    project,
    publish_generation,
    write_disk_rows,
)
from fsd.running.engine_core import EngineCore


def bring_index_up(engine: EngineCore, *, suspicious: bool) -> None:
    """Open the index and roll it forward, or make it anew; QuotaError when that has no room."""
    store = engine.store
    new, former = open_index(store, suspicious=suspicious), None
    if not new:
        engine.open_shards.postpone(store.config.store.recovered_at_start_bytes)
    try:
        _fill_where_room_is_short(engine)
    except QuotaError:
        if new:
            raise
        store.index_lacks()
        return
    except Exception as error:
        if new or isinstance(error, DiskError):
            raise
        engine.notes.append(f"the index was damaged ({error}) and has been made anew")
        former, new = begin_generation(store), True
        _fill(engine, whole=True)
    if new:
        publish_generation(store, former)
    if not engine.open_shards.is_postponed and engine.open_shards.in_doubt():
        store.index_lacks(for_moments=True)  # What they hold is known when they are read again.


def _fill_where_room_is_short(engine: EngineCore) -> None:
    try:
        _fill(engine)
    except QuotaError:
        _fill(engine)  # The ballast is given up now: that is room for it.


def _fill(engine: EngineCore, *, whole: bool = False) -> None:
    store, left = engine.store, engine.open_shards
    if whole or not left.is_postponed:
        left.recover_all()
    project(store)
    write_disk_rows(store)
    if not left.is_postponed:
        engine.make_listings()
    elif left.unknown():
        store.index_lacks(for_moments=True)
    else:
        store.behind = True  # Listings are made when the shards are sealed.
