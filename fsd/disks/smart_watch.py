"""Asking smartctl: it owns when a disk is asked and what it last said; `smart` owns the meaning.

Every disk is asked at most once an hour, by a thread of its own for that moment, so that a device
that hangs keeps nobody. One that sleeps is not woken. Where smartctl is missing or may not look,
one notice says so.
"""

import threading
import time
from dataclasses import dataclass

from base.run_command import run_command
from fsd.disk_io.identity import device_path
from fsd.disks.disks import Disk
from fsd.disks.smart import (
    SmartAsleepError,
    SmartBridgeError,
    SmartReading,
    SmartUnavailableError,
    parse_smart,
    smart_notices,
)
from fsd.disks.smart_memory import SmartMemory
from fsd.documents.models import Notice

PERIOD_S = 3600.0
OUTPUT_SIZE_BYTES_MAX = 1 << 20
TIMEOUT_S = 30.0
LET_SLEEP = ("-n", "standby")
BEHIND_BRIDGE = ("-d", "sat")


class _NotRunError(SmartUnavailableError):
    """The program could not be run, or did not end."""


@dataclass(slots=True)
class _Asked:
    at: float
    thread: threading.Thread
    last: SmartReading | None = None
    problem: str = ""


class SmartWatch:
    """The last readings of all disks; `program` is smartctl, or empty to ask nobody."""

    def __init__(self, program: str, memory: SmartMemory) -> None:
        self._program = program
        self._memory = memory
        self._asked: dict[str, _Asked] = {}

    def tick(self, disks: list[Disk]) -> None:
        """Ask the disks whose hour has come; returns at once."""
        now = time.monotonic()
        for disk in disks:
            asked = self._asked.get(disk.disk_id)
            due = asked is None or (now - asked.at >= PERIOD_S and not asked.thread.is_alive())
            device = device_path(disk.filesystem) if disk.readable and due else ""
            if self._program and device:
                thread = threading.Thread(
                    target=self._ask, args=(disk, device), name=f"smart-{disk.name}", daemon=True
                )
                former = asked or _Asked(now, thread)
                self._asked[disk.disk_id] = _Asked(now, thread, former.last, former.problem)
                thread.start()

    def readings(self) -> dict[str, SmartReading]:
        """Return the last reading of each disk that gave one, by disk id."""
        return {disk: asked.last for disk, asked in list(self._asked.items()) if asked.last}

    def notices(self, disks: list[Disk]) -> list[Notice]:
        """Return what the last readings warn of, and one notice where there are none."""
        found: list[Notice] = []
        problems: dict[str, None] = {}
        for disk in disks:
            asked = self._asked.get(disk.disk_id)
            if asked is None or disk.state == "gone":
                continue
            if asked.last is not None:
                earlier = self._memory.earlier(disk.disk_id, time.time())
                found += smart_notices(disk.name, asked.last, earlier)
            elif asked.problem:
                problems[asked.problem] = None
        if problems:
            message = "the disks' own health is not known: " + "; ".join(problems)
            advice = "install smartmontools and let the engine read the devices, or set "
            advice += 'smartctl = "" in the section [store] of drystone.toml (or a program there '
            advice += "that calls smartctl with the options a device needs)"
            notice = Notice(code="smart-off", severity="info", message=message, advice=advice)
            found.append(notice)
        return found

    def _ask(self, disk: Disk, device: str) -> None:
        asked = self._asked[disk.disk_id]
        try:
            try:
                asked.last = self._read(device)
            except SmartBridgeError:
                asked.last = self._read(device, *BEHIND_BRIDGE)
        except SmartAsleepError:
            return  # What it said last still holds, and where it said nothing yet it will.
        except _NotRunError as error:
            asked.problem = f"{self._program}: {error}"
            return
        except SmartUnavailableError as error:
            asked.problem = f"{disk.name} ({device}): {error}"
            return
        asked.problem = ""
        self._memory.note(disk.disk_id, asked.last, time.time())

    def _read(self, device: str, *options: str) -> SmartReading:
        arguments = ("--json", "-H", "-A", device, *LET_SLEEP, *options)
        command = [self._program, *arguments]
        ended = run_command(command, TIMEOUT_S, said_bytes_max=OUTPUT_SIZE_BYTES_MAX)
        if ended.code is None:
            raise _NotRunError(ended.problem)
        return parse_smart(ended.said.decode("utf-8", "replace"), ended.code)
