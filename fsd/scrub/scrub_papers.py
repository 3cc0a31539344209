"""What a disk holds besides shards: it owns checking catalog, identity and epoch, and healing them.

The engine knows every entry of the catalog, and each disk has its identity twice: whatever cannot
be read on a disk is written there again. The index has no copy: what is wrong in it is counted, and
whoever asked has its rows put right from the footers. Listings (tree files) are made again from
what they list.
"""

from typing import Any

from base.errors import DrystoneError
from fsd.disks.disks import Disk
from fsd.repair.care import FINDINGS_MAX, check_index
from fsd.repair.index_check import check_order, check_rows, drop_damaged_trees, missing_rows
from fsd.store.job import Job
from fsd.store.store import Store


def heal_papers(store: Store, job: Job | None = None) -> int:
    """Check the small files of every disk; returns how many problems there were.

    A disk that takes no writes lacks what was written since, as it should: it is left out.
    """
    problems = 0
    for disk in list(store.disks.disks.values()):
        for reason in _problems(store, disk) if disk.state == "online" else ():
            problems += 1
            store.disks.remember(f"{disk.name}: {reason}")
            if job is not None:
                job.report({"disk": disk.name, "reason": reason})
    return problems


def _problems(store: Store, disk: Disk) -> list[str]:
    try:
        lost = store.catalog.heal(disk)
        reasons: list[str] = disk.call("heal_papers", store.disks.epoch)
    except (DrystoneError, OSError) as error:
        store.disks.note_error(disk, error)
        return [str(error)]
    if lost:
        reasons.append(f"{lost} entries of its catalog could not be read")
    return [f"{reason}; written again" for reason in reasons]


def check_index_itself(store: Store, job: Job | None = None) -> tuple[int, int]:
    """Check rows and listings of the index; returns (problems, those that only a reindex mends).

    With a job all objects are walked over too, which takes seconds for ten million.
    """
    step = job.check if job is not None else lambda: None
    damage = [*check_rows(store.index), *missing_rows(store)]
    damage += check_order(store.index, step) if job is not None else []
    trees = drop_damaged_trees(store, step)
    for reason in (*damage, *trees):
        store.disks.remember(reason)
        if job is not None:
            job.report({"reason": reason})
    return len(damage) + len(trees), len(damage)


def check_entries(store: Store, job: Job) -> tuple[int, int]:
    """Compare the index with the footers of all shards; returns (problems, wrong entries).

    A shard that nobody can read now is a problem, and says nothing of the index.
    """
    findings = wrong = 0

    def find(what: str, **where: Any) -> None:
        nonlocal findings, wrong
        findings += 1
        wrong += "key" in where
        if findings <= FINDINGS_MAX:
            job.report({"reason": what, **where})

    check_index(store, find, job)
    return findings, wrong
