"""Database against store, both ways: it owns finding what one has and the other lacks.

It reads and never repairs. Keys are compared by their first 8 bytes: among 10 million, two differ
in all of them but for odds of one in 300,000, and every finding is asked for again by its full key.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adapters.records.folder import EXTRACTED_PREFIX
from adapters.records.listing import quarantine_path
from adapters.records.names import derived_batch
from adapters.work.batch_work import LISTING_NAME, PROBLEMS_NAME
from base.errors import DrystoneError
from base.text import safe_text
from fsd import Client, load_config
from sql import Database

EXAMPLES_MAX = 20
DESCRIBED = ("described", "packed", "confirmed")


@dataclass(slots=True)
class AuditReport:
    """What was compared and what does not fit."""

    nodes: int = 0
    missing_count: int = 0
    wrong_size_count: int = 0
    sampled: int = 0
    damaged_count: int = 0
    files: int = 0
    undescribed_count: int = 0
    unlisted_count: int = 0
    purged_count: int = 0
    """Of nodes whose contents were purged: they are in no batch's list, and nobody misses them."""
    examples: list[str] = field(default_factory=list[str])

    def note(self, line: str) -> None:
        """Keep a finding as an example while there are few."""
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(line)


def audit(
    config_path: str, sample: int = 100, say: Callable[[str], None] = lambda _line: None
) -> AuditReport:
    """Compare all physical nodes with the store, and all files of ingested batches with the nodes.

    `sample` objects, picked at random, are read back and hashed.
    """
    config = load_config(config_path)
    client = Client(config.socket_path)
    report = AuditReport()
    with Database.open(config_path) as database:
        # First of all: a batch that is finished meanwhile has nodes that are not looked at.
        batches = [one.name for one in database.ingests.batches() if one.state in DESCRIBED]
        say("listing what the store has")
        stored = _stored(client)
        say("comparing the database with it")
        sampled: list[str] = []
        node_keys = _check_nodes(client, database, stored, report, sampled, sample)
        report.purged_count = database.ingests.purged_count()
        _check_sample(client, sampled, report)
        say("comparing the ingested batches with the database")
        _check_files(client, database, batches, node_keys, report)
    return report


def _stored(client: Client) -> NDArray[np.void]:
    """Return (short key, size) of every file of every batch, sorted by key."""

    def rows() -> Iterator[tuple[str, int]]:
        for batch in client.batches():
            # Purged meanwhile, or its list of files is damaged: the store is asked key by key then.
            with contextlib.suppress(DrystoneError):
                for file in client.batch_files(batch.batch):
                    yield file.key, file.size_bytes

    return _table(rows())


def _table(rows: Iterable[tuple[str, int]]) -> NDArray[np.void]:
    pairs = np.fromiter(
        ((int(key[:16], 16), size) for key, size in rows),
        dtype=np.dtype([("key", "<u8"), ("size", "<i8")]),
    )
    pairs.sort(order="key")
    return pairs


def _check_nodes(
    client: Client,
    database: Database,
    stored: NDArray[np.void],
    report: AuditReport,
    sampled: list[str],
    sample: int,
) -> NDArray[np.uint64]:
    """Look every physical node up in the store; returns the short keys of the nodes, sorted.

    Leaves `sample` of the keys in `sampled`, each as likely as any other.
    """
    short: list[int] = []
    keys, sizes = stored["key"], stored["size"]
    for key, size in database.physical_contents():
        report.nodes += 1
        if len(sampled) < sample:
            sampled.append(key)
        elif (place := random.randrange(report.nodes)) < sample:
            sampled[place] = key
        number = int(key[:16], 16)
        short.append(number)
        place = int(np.searchsorted(keys, np.uint64(number)))
        if place < len(keys) and int(keys[place]) == number and int(sizes[place]) == size:
            continue
        _ask(client, key, size, report)
    return np.sort(np.array(short, dtype=np.uint64))


def _ask(client: Client, key: str, size: int, report: AuditReport) -> None:
    """Ask the store itself about a node that no batch lists so."""
    try:
        head = client.head(key)
    except DrystoneError as error:
        report.missing_count += 1
        report.note(f"{key}: in the database, not in the store ({error})")
        return
    if head.size_bytes != size:
        report.wrong_size_count += 1
        report.note(f"{key}: {size:,} bytes in the database, {head.size_bytes:,} in the store")


def _check_sample(client: Client, sampled: list[str], report: AuditReport) -> None:
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        for key in sampled:
            report.sampled += 1
            path = os.path.join(folder, "object")
            try:
                client.read(key, path)
                with open(path, "rb") as file:
                    whole = hashlib.file_digest(file, "sha256").hexdigest() == key
            except DrystoneError as error:
                whole = False
                report.note(f"{key}: {error}")
            report.damaged_count += not whole
            if os.path.exists(path):
                os.unlink(path)


def _check_files(
    client: Client,
    database: Database,
    batches: list[str],
    node_keys: NDArray[np.uint64],
    report: AuditReport,
) -> None:
    for batch in batches:
        quarantined = {row.path for row in database.quarantine.of_batches(batch, open_only=False)}
        for name in (batch, derived_batch(batch)):
            try:
                for file in client.batch_files(name):
                    path = file.path if name == batch else _path_in_quarantine(file.path)
                    _check_file(batch, path, file.key, node_keys, quarantined, report)
            except DrystoneError as error:
                # What is lost is told, and the rest compared all the same.
                report.unlisted_count += 1
                report.note(f"{name}: {error}")


def _check_file(
    batch: str,
    path: str | None,
    key: str,
    node_keys: NDArray[np.uint64],
    quarantined: Collection[str],
    report: AuditReport,
) -> None:
    report.files += 1
    number = np.uint64(int(key[:16], 16))
    place = int(np.searchsorted(node_keys, number))
    known = place < len(node_keys) and node_keys[place] == number
    if not known and path is not None and quarantine_path(path) not in quarantined:
        report.undescribed_count += 1
        report.note(f"{batch}: {safe_text(path)} is not described")


def _path_in_quarantine(derived_path: str) -> str | None:
    """Return how the quarantine names a derived file; None for what is our own."""
    if derived_path in (LISTING_NAME, PROBLEMS_NAME):
        return None
    return EXTRACTED_PREFIX + derived_path.removeprefix("extracted/")
