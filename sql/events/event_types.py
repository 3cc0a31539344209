"""The types of events: what each says, who may read it, and what it was called before.

Programs of one's own may add types; those here are Drystone's. docs/events.md lists them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class EventType(NamedTuple):
    """One type."""

    what: str
    subject: str
    former: str = ""
    """What it is called in alerts, which had names before there was a feed."""
    role: Literal["viewer", "admin"] = "viewer"
    """The least role that reads it."""


EVENT_TYPES: dict[str, EventType] = {
    "request.accepted": EventType("what a program sent is durable on the SSD", "request"),
    "request.failed": EventType("parts of a request are dead letters; how many", "request"),
    "node.created": EventType("a part of a batch brought nodes; how many", "batch"),
    "relationship.created": EventType("a part of a batch brought edges; how many", "batch"),
    "node.deleted": EventType("nodes were hidden or purged; how many", "batch"),
    "node.restored": EventType("hidden nodes are shown again; how many", "batch"),
    "batch.stored": EventType("all files of a batch are in the store, on two disks", "batch"),
    "batch.described": EventType("all of a batch is in the database", "batch"),
    "tier.moved": EventType("a package of a batch lies in cold storage", "batch"),
    "processing.started": EventType("a run began", "run"),
    "processing.completed": EventType("a run ended, and all of it is done", "run", "run_done"),
    "processing.partial": EventType("a run ended, and parts of it failed", "run", "run_partial"),
    "processing.failed": EventType("a run failed", "run", "run_failed"),
    "processing.cancelled": EventType("a run was cancelled", "run", "run_cancelled"),
    "processing.waiting": EventType("a run waits for somebody", "run", "run_waiting"),
    "label.answered": EventType("somebody answered a label task, or a file did many", "label task"),
    "dataset.version_created": EventType("a version of a dataset was built", "dataset"),
    "dataset.exported": EventType("an export of a version can be used", "dataset"),
    "permission.changed": EventType(
        "an account, its role, its groups or a grant changed",
        "account, group or grant",
        role="admin",
    ),
    "schedule.failed": EventType(
        "a schedule could not start its run", "schedule", "schedule_failed"
    ),
    "pipeline.failed": EventType("a pipeline cannot go on", "pipeline", "pipeline_failed"),
    "inbox.refused": EventType("a signal in the inbox cannot be used", "inbox", "inbox_refused"),
    "webhook.paused": EventType("a webhook took nothing for long, or is nobody's", "webhook"),
    "gpu.not_woken": EventType("a GPU machine did not wake", "GPU machine", "gpu_not_woken"),
    "backup.failed": EventType("a backup is not what it should be", "backup", "backup_failed"),
    "backup.old": EventType("the last good backup is too old", "backup", "backup_old"),
    "disk.missing": EventType("a disk does not answer", "notice", "disk"),
    "disk.failing": EventType("a disk is about to fail, or is not usable", "notice", "disk"),
    "loss.found": EventType("content is lost, damaged or has too few copies", "notice", "disk"),
    "space.low": EventType("a disk, the SSD or an area of it is nearly full", "notice", "quota"),
    "store.warning": EventType("another warning of the store", "notice", "store"),
    "error.critical": EventType("one of these, or the engine's silence, is critical", "notice"),
}


def former_name(kind: str) -> str:
    """Return what alerts call a type."""
    known = EVENT_TYPES.get(kind)
    return known.former if known is not None and known.former else kind


def hidden_types(*, is_admin: bool) -> list[str]:
    """Return the types that whoever is no admin does not read."""
    return [] if is_admin else [name for name, one in EVENT_TYPES.items() if one.role == "admin"]
