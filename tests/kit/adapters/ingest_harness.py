"""A store and a database under UA_1: it owns their making and a small scrape, no test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from command import ROOT
from store_harness import Store, write_files

from adapters.ingest.ingest import IngestReport, ingest
from adapters.work.batch_work import Signal
from sql import Database

# Two drawings by one person, one of them in two files; a third file that nobody describes; a
# broken sidecar; a file that is no media; an empty file; a name that is not UTF-8.
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
SCRAPE = {
    "ann/one.png": PNG + b"1",
    "ann/one.png.json": json.dumps(
        {"category": "example", "id": 1, "title": "One", "artist": "Ann", "num": 1}
    ).encode(),
    "ann/one.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "ann/one.svg.json": json.dumps(
        {"category": "example", "id": 1, "title": "One", "artist": "Ann", "num": 2}
    ).encode(),
    "ann/two.png": PNG + b"2",
    "ann/two.png.json": json.dumps(
        {"category": "example", "id": 2, "title": "Two \u202e\U0001f600", "artist": "Ann", "num": 1}
    ).encode(),
    "alone.png": PNG + b"3",
    "broken.png.json": b'{"category": "example", ',
    "program.exe": b"MZ",
    "empty.txt": b"",
    "odd\udcff.png": PNG + b"4",
}
QUARANTINED = {"broken.png.json", "program.exe", "empty.txt"}


@dataclass
class House:
    """A running store with its database."""

    store: Store
    database: Database

    @property
    def config_path(self) -> str:
        return self.store.config_path

    def area(self, name: str) -> str:
        return self.store.config.area_path(name)

    def scrape(self, name: str, files: dict[str, bytes] | None = None) -> str:
        """Write a scrape into the inbox; returns its folder."""
        return write_files(os.path.join(self.area("3a"), name), files or SCRAPE)

    def ingest(self, folder: str, batch: str, adapter: str = "gallery-dl") -> IngestReport:
        return ingest(
            self.config_path,
            Signal(folder, batch, adapter, "tester"),
            database=self.database,
        )

    def rows(self, query: str) -> list[tuple]:
        with self.database.connection() as connection:
            return connection.execute(query).fetchall()

    def contents(self) -> dict[str, list[tuple]]:
        """Return everything that a second ingest must not change, without surrogate keys."""
        return {
            "node": self.rows(
                "SELECT encode(sha256, 'hex'), is_virtual, is_physical, depth FROM node ORDER BY 1"
            ),
            "edge": self.rows(
                "SELECT encode(p.sha256, 'hex'), encode(c.sha256, 'hex'), r.description, position "
                "FROM edge JOIN node p ON p.node_id = parent_node_id "
                "JOIN node c ON c.node_id = child_node_id "
                "JOIN relationship r USING (relationship_id) ORDER BY 1, 2, 3"
            ),
            "common": self.rows(
                "SELECT encode(n.sha256, 'hex'), title, author_description, download_time "
                "FROM common_metadata JOIN node n USING (node_id) ORDER BY 1, 2, 3, 4"
            ),
            "quarantine": self.rows(
                "SELECT path, record_number, reason FROM quarantine ORDER BY 1"
            ),
            "archive": self.rows("SELECT filepath FROM archive_location ORDER BY 1"),
            "package": self.rows(
                "SELECT package_id, encode(sha256, 'hex') FROM outbox_package ORDER BY 1"
            ),
        }


def make_house(store: Store, dsn: str) -> House:
    """Tie a store to a database by its drystone.toml."""
    with open(store.config_path, "a", encoding="utf-8") as file:
        file.write(f"\n[database]\ndsn = {json.dumps(dsn)}\n\n[ingest]\nintent_items = 100\n")
    return House(store, Database.connect(dsn))


def ingest_killed(house: House, folder: str, batch: str, step: str, call: int) -> int:
    """Ingest in a process that kills itself; returns its exit code.

    `step` names what kills it (see ingest_killed.py), `call` at which call of that.
    """
    with killed_ingests(house) as killed:
        return killed(folder, batch, step, call)


@contextlib.contextmanager
def killed_ingests(house: House) -> Iterator[Callable[[str, str, str, int], int]]:
    """Yield `ingest_killed` for many of them, each in a process of its own."""
    program = os.path.join(ROOT, "tests", "kit", "adapters", "ingest_killed.py")
    with subprocess.Popen(
        [sys.executable, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    ) as process:
        requests, answers = process.stdin, process.stdout
        assert requests and answers

        def killed(folder: str, batch: str, step: str, call: int) -> int:
            arguments = [house.config_path, folder, batch, step, call]
            print(json.dumps(arguments), file=requests, flush=True)
            answer = answers.readline()
            assert answer.strip() in ("0", str(-signal.SIGKILL)), answer
            return int(answer)

        yield killed
