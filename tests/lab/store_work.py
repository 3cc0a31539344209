"""What is done to a store while its power may be cut, and what must hold after it was.

All that is chosen comes from one `random.Random`. Everything the store says is noted in its life.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from store_harness import Store, write_files

from .store_life import Life

SETTLE_S_MAX = 60.0
READS_AT_ONCE = 4


class StoreWork:
    """The folders that are put, what they contain, and the checks."""

    def __init__(self, store: Store, folder: str, chance: random.Random) -> None:
        self.store = store
        self.contents: dict[str, bytes] = {}
        self.keys: dict[str, dict[str, str]] = {}
        self.classes: dict[str, str] = {}
        self._folder = folder
        self._chance = chance
        self._made = 0
        self.exports: dict[str, dict[str, str]] = {}

    # ---- What is done ---------------------------------------------------------------------------

    def live(self, life: Life) -> None:
        """Puts one after the other and together, a view, an export, a clean restart, a reindex."""
        first, second, third, fourth = (self.make_batch() for _ in range(4))
        self.put(life, first)
        self._together(lambda: self.put(life, second), lambda: self.put(life, third))
        self._together(lambda: self._publish(life, "view"), lambda: self._publish(life, "copy"))
        self.finish(self.store.client.rebuild().job_id)
        self.store.stop()
        self.store.start()
        self._together(
            lambda: self.put(life, fourth),
            lambda: self.finish(self.store.client.verify().job_id),
        )
        self.finish(self.store.client.reindex().job_id)

    def put(self, life: Life, batch: str) -> None:
        """Put a batch, whole; files and the batch are told as the store says them."""
        client = self.store.client
        source = os.path.join(self._folder, batch)
        job = client.batch_write(source, batch, self.classes[batch])
        for line in client.report(job.job_id):
            assert line["status"] in ("written", "existing"), line
            life.tell("file", batch, line["path"], line["key"])
        self.finish(job.job_id)
        life.tell("batch", batch)

    def put_again(self, life: Life) -> None:
        """Put everything once more: what a cut interrupted completes, the rest is known."""
        for batch in self.keys:
            self.put(life, batch)
            found = {file.path: file.key for file in self.store.client.batch_files(batch)}
            assert found == self.keys[batch], batch
            described = self.store.client.batch(batch)
            assert described.sealed and described.files == len(found), described

    def _together(self, *works: Callable[[], None]) -> None:
        with ThreadPoolExecutor(len(works)) as threads:
            for future in [threads.submit(work) for work in works]:
                future.result()

    def finish(self, job_id: str) -> dict[str, Any]:
        ended = self.store.client.wait(job_id)
        assert ended.state == "done", (ended, list(self.store.client.report(job_id)))
        return ended.result

    def make_batch(self, class_name: str = "") -> str:
        chance, self._made = self._chance, self._made + 1
        name = f"b{self._made}"
        files = {f"f{n % 3}/{n}": self._content() for n in range(chance.randint(10, 40))}
        write_files(os.path.join(self._folder, name), files)
        self.keys[name] = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
        self.contents.update(zip(self.keys[name].values(), files.values(), strict=True))
        self.classes[name] = class_name or chance.choice(("raw", "raw", "generated"))
        return name

    def _content(self) -> bytes:
        if self.contents and self._chance.random() < 0.1:
            return self._chance.choice(list(self.contents.values()))
        sizes = ((0, 8_000), (8_000, 60_000), (100_000, 500_000), (1_100_000, 2_500_000))
        low, high = self._chance.choices(sizes, (60, 30, 7, 3))[0]
        return self._chance.randbytes(self._chance.randint(low, high))

    def _publish(self, life: Life, mode: str) -> None:
        name = f"{mode}{len(self.exports)}"
        keys = sorted({one.key for one in list(life.told) if one.kind == "file"})
        files = {f"{n}.bin": key for n, key in enumerate(keys[::2])}
        self.exports[name] = files
        manifest = os.path.join(self._folder, f"{name}.jsonl")
        with open(manifest, "w", encoding="ascii") as file:
            file.writelines(
                json.dumps({"path": path, "key": key}) + "\n" for path, key in files.items()
            )
        answer = self.store.client.export_to_3d(manifest, name, "plain", mode=mode)
        self.finish(answer.job_id)
        life.tell("view" if mode == "view" else "export", name)

    # ---- What must hold -------------------------------------------------------------------------

    def check_told(self, life: Life) -> None:
        """Everything that was told is there, as it was told, and reads right."""
        client = self.store.client
        told = list(life.told)
        batches = {batch.batch: batch for batch in client.batches()}
        views = {view.name for view in client.views()}
        listed = {name: {f.path: f.key for f in client.batch_files(name)} for name in batches}
        for one in told:
            if one.kind == "file":
                assert listed[one.name].get(one.path) == one.key, f"{one} is not in its batch"
            elif one.kind == "batch":
                assert batches[one.name].sealed, one
            elif one.kind == "view":
                assert f"exports/{one.name}/plain" in views, one
            else:
                self._check_export(one.name)
        self.check_objects({one.key for one in told if one.key})

    def check_objects(self, keys: set[str]) -> None:
        """All of these can be read, and are what was put."""
        with ThreadPoolExecutor(READS_AT_ONCE) as threads:
            list(threads.map(self._check_object, sorted(keys)))

    def _check_object(self, key: str) -> None:
        output = os.path.join(self._folder, f"read-{key}")
        self.store.client.read(key, output)
        with open(output, "rb") as file:
            assert file.read() == self.contents[key], key
        os.unlink(output)

    def _check_export(self, name: str) -> None:
        target = os.path.join(self.store.config.area_path("3d"), name, "plain")
        assert os.path.exists(os.path.join(target, "_SEALED")), f"{target} is not sealed"
        for path, key in self.exports[name].items():
            with open(os.path.join(target, path), "rb") as file:
                assert file.read() == self.contents[key], (target, path)

    def check_sealed_folders(self) -> None:
        """A folder with a seal in the exports is complete, told or not."""
        area = self.store.config.area_path("3d")
        for name in self.exports:
            if os.path.exists(os.path.join(area, name, "plain", "_SEALED")):
                self._check_export(name)

    def check_care(self) -> None:
        """The store finds nothing wrong with itself: not now, and not when it is whole again."""
        client = self.store.client
        self.finish(client.verify().job_id)
        deadline = time.monotonic() + SETTLE_S_MAX
        while (health := client.health()).rebuild_queue or health.state != "ok":
            assert time.monotonic() < deadline, health
            time.sleep(0.05)
        self.finish(client.fsck().job_id)
        self.finish(client.verify().job_id)

    def summary(self, life: Life) -> str:
        return ", ".join(f"{n} {kind}" for kind, n in Counter(t.kind for t in life.told).items())
