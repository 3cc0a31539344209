"""The store's health for those who may not know the store: it owns following a scrub, and warnings.

It decides nothing about disks; the engine does the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from adapters.records.errors import AdapterError
from base.errors import DrystoneError, UsageError
from fsd import Client, load_config

SCRUB_KIND = "scrub"
WAIT_STEP_S = 1.0
LOSSES_SHOWN_MAX = 100
# A warning is the same one while its numbers change: it is known by its code and what it is about.


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """How a scrub ended; `losses` names the first of the objects that no copy gives any more."""

    state: Literal["done", "incomplete", "failed", "cancelled"]
    error: str
    result: dict[str, Any]
    losses: list[str] = field(default_factory=list[str])
    lost_objects: int = 0


@dataclass(frozen=True, slots=True)
class StoreNotice:
    """Something a person should know about the store; `identity` is the same while it lasts."""

    code: str
    identity: str
    severity: str
    message: str
    advice: str


def scrub(
    config_path: str,
    progress: Callable[[int, int, str], None] = lambda _done, _total, _unit: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> ScrubReport:
    """Verify every copy that is due and heal what is damaged; follows one that runs already.

    `cancelled` is asked every second. Raises AdapterError when the engine does not answer.
    """
    try:
        client = Client(load_config(config_path).socket_path)
        running = [
            job for job in client.jobs() if job.kind == SCRUB_KIND and job.state == "running"
        ]
        job = running[0] if running else client.scrub()
        asked_to_stop = False
        while job.state == "running":
            if not asked_to_stop and cancelled():
                client.cancel(job.job_id)
                asked_to_stop = True
            job = client.job(job.job_id, WAIT_STEP_S)
            if job.total_bytes:
                progress(job.done_bytes, job.total_bytes, "bytes")
        status = client.scrub_status()
    except DrystoneError as error:
        raise AdapterError(f"the store was not scrubbed: {error}") from error
    losses = list(status.losses[:LOSSES_SHOWN_MAX])
    return ScrubReport(job.state, job.error or "", job.result, losses, status.lost_objects)


def store_client(config_path: str) -> Client:
    """Return a client of the store's engine, for those who hand it on and never look inside."""
    return Client(load_config(config_path).socket_path)


def mount_root(config_path: str) -> str:
    """Return the folder where the store is mounted here. Raises UsageError."""
    try:
        return load_config(config_path).mount
    except DrystoneError as error:
        raise UsageError(str(error)) from error


def inbox_root(config_path: str) -> str:
    """Return the folder of the inbox (3A) here. Raises UsageError."""
    try:
        return load_config(config_path).area_path("3a")
    except DrystoneError as error:
        raise UsageError(str(error)) from error


def stage_root(config_path: str) -> str:
    """Return the folder of the stage area (3C) here. Raises UsageError."""
    try:
        return load_config(config_path).area_path("3c")
    except DrystoneError as error:
        raise UsageError(str(error)) from error


def store_notices(config_path: str) -> list[StoreNotice]:
    """Return what the store warns of now; AdapterError when the engine does not answer."""
    try:
        found = Client(load_config(config_path).socket_path).warnings()
    except DrystoneError as error:
        raise AdapterError(f"the store's engine does not answer: {error}") from error
    notices: list[StoreNotice] = []
    for notice in found:
        identity = f"{notice.code} {notice.subject}" if notice.subject else notice.code
        notices.append(
            StoreNotice(notice.code, identity, notice.severity, notice.message, notice.advice)
        )
    return notices
