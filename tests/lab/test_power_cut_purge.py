"""Power cuts while batches are purged and shards compacted: what was purged stays purged.

A purge that was asked for and never answered has happened wholly or not at all. `--power-cuts` and
`--power-seed` are those of the other power cut test.
"""

from __future__ import annotations

import time

import pytest
from store_harness import with_settings

from fsd.errors import NotFoundError

from . import why_not
from .store_life import Life, first_store
from .store_work import StoreWork
from .test_power_cut import CUTS_PER_STORE, SEED_OF_THE_SHORT_FORM, PowerRun

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the lab is there")


@pytest.mark.timeout(0)
def test_power_cut_in_purges_and_compactions(pytestconfig: pytest.Config):
    cuts = pytestconfig.getoption("--power-cuts") // 2
    seed = pytestconfig.getoption("--power-seed") or SEED_OF_THE_SHORT_FORM
    for number, first in enumerate(range(0, cuts, CUTS_PER_STORE)):
        PurgeRun(f"purge-{seed}-{number}").run(min(CUTS_PER_STORE, cuts - first))


Files = dict[str, dict[str, str]]


class PurgeWork(StoreWork):
    """Batches that share content and shards are purged and put again, compactions in between."""

    def live(self, life: Life) -> None:
        names = [self._make_batch() for _ in range(5)]
        for name in names:
            self.put(life, name)
        self._publish(life, "view")
        for name in names[:2]:
            self.purge(life, name)
        self.compact()
        self._together(lambda: self.purge(life, names[2]), lambda: self.put(life, names[0]))
        self.compact()
        self._finish(self.store.client.reindex().job_id)

    def purge(self, life: Life, name: str) -> None:
        life.tell("purging", name)
        self._finish(self.store.client.purge(name).job_id)
        life.tell("purged", name)

    def compact(self) -> None:
        client = self.store.client
        ended = client.wait(client.compact(0.01).job_id)
        assert ended.state in ("done", "incomplete"), ended

    def standing(self, life: Life) -> tuple[Files, Files, set[str]]:
        """Return (files that were told, by batch, files told since a doubtful purge, gone batches).

        Of a batch in doubt either must be there: all of its files, or those put again since.
        """
        files: Files = {}
        doubt: Files = {}
        gone: set[str] = set()
        for one in list(life.told):
            if one.kind == "file":
                gone.discard(one.name)
                files.setdefault(one.name, {})[one.path] = one.key
                if one.name in doubt:
                    doubt[one.name][one.path] = one.key
            elif one.kind == "purging":
                doubt[one.name] = {}
            elif one.kind == "purged":
                doubt.pop(one.name, None)
                gone.add(one.name)
                files.pop(one.name, None)
        return files, doubt, gone

    def check_told(self, life: Life) -> None:
        client = self.store.client
        files, doubt, gone = self.standing(life)
        listed = {batch.batch for batch in client.batches()}
        for name in gone & listed:
            # Put again, and cut off before the first file was acknowledged.
            assert not client.batch(name).sealed, name
        keys: set[str] = set()
        for name, wanted in files.items():
            found = {f.path: f.key for f in client.batch_files(name)} if name in listed else {}
            if name in doubt and not wanted.items() <= found.items():
                wanted = doubt[name]
            assert wanted.items() <= found.items(), name
            keys |= set(wanted.values())
        views = {view.name for view in client.views()}
        for one in list(life.told):
            if one.kind == "view":
                assert f"exports/{one.name}/plain" in views, one
                keys |= set(self.exports[one.name].values())
        for key in sorted(keys):
            self._check_object(key)
        for name in gone - listed:
            own = set(self.keys[name].values()) - keys
            others = (set(k.values()) for n, k in self.keys.items() if n in listed)
            for key in own.difference(*others):
                with pytest.raises(NotFoundError):
                    client.head(key)


class PurgeRun(PowerRun):
    """As the other run, with this work; every life goes on purging and compacting."""

    def live_in_peace(self) -> Life:
        life = Life(self.folder, 0, [None] * 4)
        self.lives.append(life)
        life.power_on()
        self.store = first_store(self.folder, life)
        settings = with_settings(self.store.root, grace_s=0)
        self.store.config = settings
        self.work = PurgeWork(self.store, self.folder, self.chance)
        self.store.start()
        life.begun_ns = time.monotonic_ns()
        self.work.live(life)
        self.power_off()
        return life

    def go_on(self, life: Life, cut) -> None:
        assert isinstance(self.work, PurgeWork)
        super().go_on(life, cut)
        for name in self.chance.sample(sorted(self.work.keys), 2):
            self.work.purge(life, name)
            self.work.compact()
        self.work.check_told(life)
        self.work.check_care()
