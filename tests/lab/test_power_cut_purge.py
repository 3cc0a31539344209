"""Power cuts while batches are purged and shards compacted: what was purged stays purged.

A view is unpublished as well: a compaction then lets its manifest go, which nothing names any more.

A purge that was asked for and never answered has happened wholly or not at all. A batch that is
put again after its purge may be there, whole and sealed, before its client has heard of one file:
what tells it from the purged one is when it was made. `--power-cuts` and `--power-seed` are those
of the other power cut test.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from store_harness import with_settings

from fsd.format.errors import NotFoundError

from . import why_not
from .store_life import Cut, Life
from .store_work import StoreWork
from .test_power_cut import CUTS_PER_STORE, SEED_OF_THE_SHORT_FORM, PowerRun

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")


@pytest.mark.seconds(25)
@pytest.mark.fault
@pytest.mark.timeout(0)
def test_power_cut_in_purges_and_compactions(pytestconfig: pytest.Config):
    cuts = pytestconfig.getoption("--power-cuts") // 2
    seed = pytestconfig.getoption("--power-seed") or SEED_OF_THE_SHORT_FORM
    for number, first in enumerate(range(0, cuts, CUTS_PER_STORE)):
        PurgeRun(f"purge-{seed}-{number}").run(min(CUTS_PER_STORE, cuts - first))


@pytest.mark.fault
@pytest.mark.timeout(0)
def test_what_was_purged_stays_purged_whatever_index_comes_back():
    EachIndex("purged-and-put-again").run(len(INDEXES))


Files = dict[str, dict[str, str]]
INDEXES = ("cut", "old", "none")
# The engine tells when a batch was made in whole milliseconds.
CREATED_STEP_S = 0.001


@dataclass(slots=True)
class Standing:
    """What is known of the batches.

    `files` were told, by batch; `doubt` are those told since a purge that was never answered: of
    such a batch either must be there. `gone` are purged batches that nobody has begun to put
    again, `purged_s` says when each was purged last.
    """

    files: Files = field(default_factory=dict)
    doubt: Files = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    purged_s: dict[str, float] = field(default_factory=dict)


class PurgeWork(StoreWork):
    """Batches that share content and shards are purged and put again, compactions in between."""

    def live(self, life: Life) -> None:
        names = [self.make_batch() for _ in range(5)]
        for some in (names[:3], names[3:]):
            for name in some:
                self.put(life, name)
            self._publish(life, "view")
        self.unpublish(life, min(self.exports))
        for name in names[:2]:
            self.purge(life, name)
        # Seals the shard with the manifest of what was unpublished; the compaction lets it go.
        self.finish(self.store.client.verify().job_id)
        assert self.compact() == 1
        self._together(lambda: self.purge(life, names[2]), lambda: self.put(life, names[0]))
        self.compact()
        self.finish(self.store.client.reindex().job_id)

    def put(self, life: Life, batch: str) -> None:
        life.tell("putting", batch)
        super().put(life, batch)

    def put_unheard(self, life: Life, batch: str) -> None:
        """Put a batch for a client that hears of no file: it is gone before the first answer."""
        life.tell("putting", batch)
        source = os.path.join(self._folder, batch)
        self.finish(self.store.client.batch_write(source, batch, self.classes[batch]).job_id)

    def purge(self, life: Life, name: str) -> None:
        life.tell("purging", name)
        self.finish(self.store.client.purge(name).job_id)
        life.tell("purged", name)

    def unpublish(self, life: Life, name: str) -> None:
        life.tell("unpublishing", name)
        self.store.client.unpublish("exports", name, "plain")
        life.tell("unpublished", name)

    def compact(self) -> int:
        """Returns how many manifests that nothing names were let go."""
        client = self.store.client
        ended = client.wait(client.compact(0.01).job_id)
        assert ended.state in ("done", "incomplete"), ended
        return ended.result["collected_manifests"]

    def standing(self, life: Life) -> Standing:
        """Return what the batches must be, by what this life was told."""
        found = Standing()
        for one in list(life.told):
            if one.kind == "putting":
                found.gone.discard(one.name)
            elif one.kind == "file":
                found.files.setdefault(one.name, {})[one.path] = one.key
                if one.name in found.doubt:
                    found.doubt[one.name][one.path] = one.key
            elif one.kind == "purging":
                found.doubt[one.name] = {}
            elif one.kind == "purged":
                found.doubt.pop(one.name, None)
                found.files.pop(one.name, None)
                found.gone.add(one.name)
                found.purged_s[one.name] = one.wall_s
        return found

    def check_told(self, life: Life) -> None:
        client = self.store.client
        standing = self.standing(life)
        listed = {batch.batch: batch for batch in client.batches()}
        assert not standing.gone & listed.keys(), "purged, never put again, and shown"
        for name in standing.purged_s.keys() & listed.keys():
            made_s = datetime.datetime.fromisoformat(listed[name].created).timestamp()
            assert made_s + CREATED_STEP_S >= standing.purged_s[name], f"{name} is the purged one"
        keys = self._check_files(standing, listed.keys())
        told, doubtful = list(life.told), set[str]()
        views = {view.name for view in client.views()}
        ends = {one.name: one.kind for one in told if one.kind.startswith("unpublish")}
        for one in (one for one in told if one.kind == "view"):
            if (end := ends.get(one.name)) == "unpublishing":
                doubtful |= set(self.exports[one.name].values())
                continue
            assert (f"exports/{one.name}/plain" in views) == (end is None), (one, end)
            keys |= set(self.exports[one.name].values()) if end is None else set()
        for one in told:
            if one.kind == "export":
                self._check_export(one.name)
        # One whose publishing was never answered may be there: what it shows stays as well.
        shown = [n for n in self.exports if f"exports/{n}/plain" in views]
        keys = keys.union(*(self.exports[name].values() for name in shown))
        self.check_objects(keys)
        for name in standing.gone:
            own = set(self.keys[name].values()) - keys - doubtful
            others = (set(k.values()) for n, k in self.keys.items() if n in listed)
            for key in own.difference(*others):
                with pytest.raises(NotFoundError):
                    client.head(key)

    def _check_files(self, standing: Standing, listed: Iterable[str]) -> set[str]:
        """Return the keys of all that is listed; what was told is among it."""
        keys: set[str] = set()
        found: Files = {
            name: {file.path: file.key for file in self.store.client.batch_files(name)}
            for name in listed
        }
        for name, wanted in standing.files.items():
            there = found.get(name, {})
            if name in standing.doubt and not wanted.items() <= there.items():
                wanted = standing.doubt[name]
            assert wanted.items() <= there.items(), name
        for name, there in found.items():
            assert there.items() <= self.keys[name].items(), name
            keys |= set(there.values())
        return keys


class PurgeRun(PowerRun):
    """As the other run, with this work; every life goes on purging and compacting."""

    def make_work(self) -> PurgeWork:
        assert self.store is not None
        self.store.config = with_settings(self.store.root, grace_s=0, manifest_grace_days=0)
        return PurgeWork(self.store, self.folder, self.chance)

    def go_on(self, life: Life, cut: Cut) -> None:
        assert isinstance(self.work, PurgeWork)
        super().go_on(life, cut)
        for name in self.chance.sample(sorted(self.work.keys), 2):
            self.work.purge(life, name)
            self.work.compact()
        self.work.check_told(life)
        self.work.check_care()


class TwoPurges(PurgeWork):
    """Two batches are purged, and one of them is put again by a client that dies."""

    def live(self, life: Life) -> None:
        names = [self.make_batch() for _ in range(2)]
        for name in names:
            self.put(life, name)
        self.before_ns = time.monotonic_ns()
        for name in names:
            self.purge(life, name)
        self.put_unheard(life, names[1])


class EachIndex(PurgeRun):
    """The power goes when all is done; the index comes back as it is, older, or not at all."""

    def make_work(self) -> TwoPurges:
        work = super().make_work()
        return TwoPurges(work.store, self.folder, self.chance)

    def choose_parent(self, first: Life, last: Life) -> Life:
        return first

    def choose_cut(self, parent: Life, number: int) -> Cut:
        assert isinstance(self.work, TwoPurges)
        index = INDEXES[number % len(INDEXES)]
        ssd_ns = self.work.before_ns if index == "old" else parent.ended_ns
        return Cut(parent.ended_ns, ssd_ns, index, tuple((0, "lost") for _ in parent.disks))

    def go_on(self, life: Life, cut: Cut) -> None:
        self.start_again(cut)
        self.work.check_told(life)
        self.work.check_care()
