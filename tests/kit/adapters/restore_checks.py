"""What the tests of restore and replay share: it owns cold copies and their comparison, no test."""

from __future__ import annotations

import os
import random
import shutil
from typing import Any

from ingest_harness import PNG, House

from adapters.audit.audit import audit
from adapters.cold_storage.restore import Restored, restore


def small_packages(house: House) -> None:
    """Let packages of this house hold 1 MiB, the least that may be configured."""
    with open(house.config_path, encoding="utf-8") as file:
        text = file.read()
    with open(house.config_path, "w", encoding="utf-8") as file:
        file.write(text.replace("[ingest]", f"[ingest]\npackage_size_bytes = {1 << 20}"))


def large_files(seed: int) -> dict[str, bytes]:
    """Twelve pictures that need several packages, and two files that cannot be understood."""
    made = random.Random(seed)
    files = {f"{seed}/{number}.png": PNG + made.randbytes(300_000) for number in range(12)}
    return {**files, "twin.png": files[f"{seed}/0.png"], "program.exe": b"MZ", "empty.txt": b""}


def cold_copies(house: House, tmp_path: Any) -> str:
    """Copy the outbox away."""
    cold = str(tmp_path / "cold")
    shutil.copytree(house.area("3b"), cold, dirs_exist_ok=True)
    return cold


def only(reports: list[Restored]) -> Restored:
    """Return the one report, which must be without an error."""
    (report,) = reports
    assert report.error is None, report.error
    return report


def refused(house: House, places: list[str], database: bool = True) -> str:
    """Restore one batch that must fail; returns why. Nothing may be left on the SSD."""
    (report,) = restore(house.config_path, places, house.database if database else None)
    assert report.error is not None
    folder = os.path.join(house.area("3a"), ".restore")
    assert not os.path.exists(folder) or os.listdir(folder) == []
    return report.error


def assert_same(house: House, other: House, batch: str) -> None:
    """Check that store and database of the other house say the same of a batch."""
    for name in (batch, batch + ".derived"):
        then = {file.path: file.key for file in house.store.client.batch_files(name)}
        assert {f.path: f.key for f in other.store.client.batch_files(name)} == then
    ours, theirs = house.contents(), other.contents()
    for part in ours:
        assert theirs[part] == ours[part], part
    found = audit(other.config_path, sample=50)
    assert found.missing_count == found.damaged_count == found.undescribed_count == 0
    assert found.sampled > 0
