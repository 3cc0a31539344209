"""Watching the disks: it owns the parts that do so in a running engine, and what they warn of."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from base.errors import UsageError
from base.logging.ids import about
from base.text import count_text
from fsd.disks.smart import SmartWatch
from fsd.documents.models import Notice
from fsd.repair.index_heal import find_again
from fsd.repair.lost_files import list_losses
from fsd.running.engine_core import EngineCore
from fsd.scrub.scrub import Scrubber
from fsd.store.availability import Availability
from fsd.store.ssd.suspect_file import load_suspects, save_suspects
from fsd.watch.alerts import Alerts
from fsd.watch.calibrate import Calibrator

if TYPE_CHECKING:
    from fsd.store.job import Job

HEALTH = "health"
"""The kind of row by which a disk that is failing is not called well after a restart."""
SCRUB = "scrub"
CALIBRATE = "calibrate"
REPAIR = "index repair"
LOSSES_SHOWN_MAX = 20
TICK_S = 1.0
SAVE_PERIOD_S = 60.0


class Watch:
    """The watching parts of one engine, and the thread that asks them."""

    def __init__(self, engine: EngineCore) -> None:
        self.engine = engine
        self._disks = engine.store.disks.disks
        self.scrubber = Scrubber(
            engine.store,
            lambda: any(job.kind != SCRUB for job in engine.jobs.running()),
            engine.reconciler.poke,
        )
        engine.store.find_again = functools.partial(find_again, engine.store)
        engine.replicator.reconstructor.on_loss = self.scrubber.damage.note_lost
        self.calibrator = Calibrator(engine.store, lambda: bool(engine.jobs.running()))
        self.smart = SmartWatch(engine.config.store.smartctl)
        self._file = file = engine.store.watch_file
        if file.problem:
            engine.store.disks.log.warning("%s", file.problem, extra=about("watch.file_unusable"))
        self.alerts = Alerts(engine.config, file)
        health = file.rows(HEALTH)
        for disk in self._disks.values():
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                disk.health.load(health[disk.disk_id])
        load_suspects(engine.store)
        self._saved_at = time.monotonic()
        # Of which generation of the index, and how many: whoever counts shards says it.
        self.damaged_shards: tuple[int, int] = (0, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch; the engine is whole by now."""
        self.scrubber.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching and make durable what is remembered."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5 * TICK_S)
            save_suspects(self.engine.store)
        self.alerts.stop()
        self.scrubber.stop()
        self._save_health()

    def scrub_now(self) -> Job:
        """Start paying the whole debt of the scrub, of shards that were still open too."""

        def work(job: Job) -> dict[str, Any]:
            self.engine.seal_all(job)
            return self.scrubber.run_now(job)

        return self.engine.start_job(SCRUB, "the whole debt", work, SCRUB)

    def losses(self, without: Sequence[str]) -> Job:
        """Start listing the files that no disk gives; disks (by name) are taken for away."""
        store = self.engine.store
        away = {store.disks.by_name(name) for name in without}
        damaged = self.scrubber.damage.by_replica()
        availability = Availability(store, {disk.disk_id for disk in away}, damaged)
        named = ", ".join(sorted(disk.name for disk in away))
        work = functools.partial(list_losses, store, self.engine.references.stored, availability)
        return self.engine.start_job("losses", f"without {named}" if named else "", work)

    def calibrate_now(self, name: str | None, *, accept: bool) -> Job:
        """Start measuring one disk, or all that can be read; see `Calibrator.run`."""
        disks = [disk for disk in self._disks.values() if disk.readable]
        if name is not None:
            disks = [disk := self.engine.store.disks.by_name(name)]
            if not disk.readable:
                raise UsageError(
                    f"{disk.name} is {disk.shown_state}: only a disk that is there can be measured"
                )
        work = functools.partial(self.calibrator.run, disks, accept)
        return self.engine.start_job(
            CALIBRATE, name or "all disks", work, CALIBRATE, needs_index=False
        )

    def notices(self) -> list[Notice]:
        """Return what a person should know of what was watched; the disks' states apart."""
        disks = list(self._disks.values())
        seen = self.smart.notices(disks)
        return [*seen, *self._scrub_notices(), *self._index_notices(), *self._alert_notices()]

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            try:
                self._tick()
            except Exception as error:
                # Watching must outlive one bad round; health shows what happened.
                told = about("watch.failed")
                log = self.engine.store.disks.log
                log.exception("watch: %s: %s", type(error).__name__, error, extra=told)

    def _tick(self) -> None:
        disks = list(self._disks.values())
        for disk in disks:
            disk.health.settle(time.time())
        self.smart.tick(disks)
        self.calibrator.tick()
        save_suspects(self.engine.store)
        if self.engine.store.misplaced and not self.engine.store.is_unfinished:
            self._repair_index()
        if time.monotonic() - self._saved_at > SAVE_PERIOD_S:
            self._saved_at = time.monotonic()
            self._save_health()

    def _save_health(self) -> None:
        self._file.write(
            HEALTH, {disk.disk_id: disk.health.dump() for disk in self._disks.values()}
        )

    def _repair_index(self) -> None:
        # While the store is being reindexed, or a look goes on already, the next second will do.
        with contextlib.suppress(UsageError):
            work = self.scrubber.repair_index
            self.engine.start_job(REPAIR, "places of objects", work, REPAIR)

    def _alert_notices(self) -> list[Notice]:
        error = self.alerts.last_error
        if not error:
            return []
        return [
            Notice(
                code="alerts",
                severity="info",
                message=f"{count_text(self.alerts.waiting(), 'alert')} to be sent: {error}",
                advice="drystone alerts test tries at once",
            )
        ]

    def _damaged_rows(self) -> int:
        generation, shards = self.damaged_shards
        met = shards if generation == self.engine.store.index.generation else 0
        return max(met, self.scrubber.damaged_rows())

    def _index_notices(self) -> list[Notice]:
        found = [
            f"{count:,} {what}"
            for count, what in (
                (
                    self.scrubber.wrong_entries(),
                    "wrong places were found in the index, and put right",
                ),
                (self._damaged_rows(), "damages were found in the index that stay in it"),
            )
            if count
        ]
        if not found:
            return []
        return [
            Notice(
                code="index-damaged",
                severity="warning",
                message="; ".join(found),
                advice="drystone reindex makes all of it anew from the shards; nothing is lost, "
                "and the SSD or the memory may be failing",
            )
        ]

    def _scrub_notices(self) -> list[Notice]:
        losses = self.scrubber.damage.losses()
        if not losses:
            return []
        more = f" and {len(losses) - LOSSES_SHOWN_MAX:,} more" * (len(losses) > LOSSES_SHOWN_MAX)
        return [
            Notice(
                code="lost",
                severity="critical",
                message=f"{count_text(len(losses), 'object')} damaged on every disk that has them: "
                + ", ".join(losses[:LOSSES_SHOWN_MAX])
                + more,
                advice="store these files again from their source (drystone put): sound copies "
                "then take their place (drystone losses lists all of them)",
            )
        ]
