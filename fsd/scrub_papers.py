"""What a disk holds besides shards: it owns checking catalog, identity and epoch, and healing them.

The engine knows every entry of the catalog, and each disk has its identity twice: whatever cannot
be read on a disk is written there again. The index has no copy: what is wrong in it is counted, and
a reindex makes it anew.
"""

from typing import Any

from fsd.care import check_index
from fsd.disks import Disk
from fsd.errors import FsdError
from fsd.job import Job
from fsd.store import Store


def heal_papers(store: Store, job: Job | None = None) -> int:
    """Check the small files of every readable disk; returns how many problems there were."""
    problems = 0
    for disk in list(store.disks.disks.values()):
        for reason in _problems(store, disk) if disk.readable else ():
            problems += 1
            store.disks.remember(f"{disk.name}: {reason}")
            if job is not None:
                job.report({"disk": disk.name, "reason": reason})
    return problems


def _problems(store: Store, disk: Disk) -> list[str]:
    try:
        lost = store.catalog.heal(disk)
        reasons: list[str] = disk.call("heal_papers", store.disks.epoch)
    except (FsdError, OSError) as error:
        store.disks.note_error(disk, error)
        return [str(error)]
    if lost:
        reasons.append(f"{lost} entries of its catalog could not be read")
    return [f"{reason}; written again" for reason in reasons]


def count_wrong_entries(store: Store, job: Job) -> int:
    """Compare the index with the footers of all shards; one line in the report per finding."""
    findings = 0

    def find(what: str, **where: Any) -> None:
        nonlocal findings
        findings += 1
        job.report({"reason": what, **where})

    check_index(store, find, job)
    return findings
