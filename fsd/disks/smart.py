"""What a disk says of itself: it owns reading smartctl's JSON and what it warns of; pure functions.

Its own verdict, reallocated and unreadable sectors; the rest is for smartd to tell. The shapes
are those of smartctl 7 (`smartctl --json -H -A DEVICE`), for ATA, NVMe and SCSI.
"""

import re
import threading
import time
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from base.files import parse_json
from base.processes.run_command import run_command
from fsd.disk_io.place.identity import device_path
from fsd.disks.disks import Disk
from fsd.documents.models import Notice

# The exit status of smartctl is a set of bits; the first two mean that nothing was read.
EXIT_COMMAND_LINE = 1
EXIT_OPEN_FAILED = 2
EXIT_FAILING = 8
EXIT_BELOW_THRESHOLD = 16

REALLOCATED, PENDING, OFFLINE_UNCORRECTABLE = 5, 197, 198
REALLOCATED_MAX = 50
"""A few reallocated sectors are life; this many are not."""
MESSAGE_MAX = 200
"""Characters of what smartctl says that are told."""
NUMBER_MAX = (1 << 63) - 1
"""What is larger is no count of anything, and no number that everybody can read."""
_ASLEEP = re.compile(r"\b(STANDBY|SLEEP)\b.{0,20} mode", re.IGNORECASE)
_BRIDGE = re.compile(r"Unknown USB bridge|device type with the -d option", re.IGNORECASE)
_LEADING_NUMBER = re.compile(r"\d{1,18}\b")


@dataclass(frozen=True, slots=True)
class SmartReading:
    """One reading; None where the device does not say."""

    passed: bool | None = None
    reallocated_sectors: int | None = None
    pending_sectors: int | None = None
    uncorrectable_sectors: int | None = None
    below_threshold: bool | None = None


class SmartUnavailableError(Exception):
    """Nothing could be read; the message says why, in one line."""


class SmartAsleepError(SmartUnavailableError):
    """The disk sleeps, and was not woken for this."""


class SmartBridgeError(SmartUnavailableError):
    """The disk is behind a bridge that smartctl does not know; `-d sat` may reach it."""


def parse_smart(output: str, exit_status: int) -> SmartReading:
    """Read smartctl's answer; SmartUnavailableError when there is none for this device."""
    try:
        document = parse_json(output)
    except ValueError:
        first = output.strip().splitlines()[:1]
        said = first[0][:MESSAGE_MAX] if first else "smartctl said nothing"
        raise _unavailable(said, output) from None
    if not isinstance(document, dict):
        raise SmartUnavailableError("smartctl gave no JSON object")
    reading = _reading(document)
    if exit_status & (EXIT_COMMAND_LINE | EXIT_OPEN_FAILED):
        raise _unavailable(_messages(document)[0], " ".join(_messages(document)))
    # The exit status says what the JSON of some devices and versions leaves out.
    if exit_status & EXIT_FAILING:
        reading = replace(reading, passed=False)
    if exit_status & EXIT_BELOW_THRESHOLD:
        reading = replace(reading, below_threshold=True)
    if reading == SmartReading():
        raise SmartUnavailableError(_messages(document)[0])
    return reading


def _unavailable(first: str, everything: str) -> SmartUnavailableError:
    if _ASLEEP.search(everything):
        return SmartAsleepError(first)
    return (SmartBridgeError if _BRIDGE.search(everything) else SmartUnavailableError)(first)


def _reading(document: dict[str, Any]) -> SmartReading:
    attributes = _attributes(document)
    passed = _table(document, "smart_status").get("passed")
    return SmartReading(
        passed=passed if isinstance(passed, bool) else None,
        reallocated_sectors=_first(
            attributes.get(REALLOCATED), document.get("scsi_grown_defect_list")
        ),
        pending_sectors=attributes.get(PENDING),
        uncorrectable_sectors=attributes.get(OFFLINE_UNCORRECTABLE),
    )


def _attributes(document: dict[str, Any]) -> dict[int, int]:
    """Return the raw values of the ATA attributes by their number."""
    found: dict[int, int] = {}
    rows = _table(document, "ata_smart_attributes").get("table")
    for row in rows if isinstance(rows, list) else []:
        number, raw = _table({"row": row}, "row").get("id"), _table(row, "raw")
        # The value may hold several counts in its bytes; the text begins with the right one.
        text = raw.get("string")
        leading = _LEADING_NUMBER.match(text) if isinstance(text, str) else None
        value = _first(int(leading[0]) if leading else raw.get("value"))
        if isinstance(number, int) and value is not None:
            found[number] = value
    return found


def _table(document: Any, name: str) -> dict[str, Any]:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def _first(*values: Any) -> int | None:
    numbers = (v for v in values if isinstance(v, int) and not isinstance(v, bool))
    return next((number for number in numbers if abs(number) <= NUMBER_MAX), None)


def _messages(document: dict[str, Any]) -> list[str]:
    """Return what smartctl says of itself; never nothing."""
    listed = _table(document, "smartctl").get("messages")
    texts = [
        " ".join(str(text).split())[:MESSAGE_MAX]
        for message in (listed if isinstance(listed, list) else [])
        if (text := _table({"m": message}, "m").get("string"))
    ]
    return texts or ["the device does not report SMART data"]


def smart_notices(name: str, reading: SmartReading) -> list[Notice]:
    """Return what a reading warns of now; what grows over weeks is for smartd to tell."""
    leave = f"drain or replace it: drystone disk drain {quote(name)}"
    found: list[Notice] = []

    def warn(code: str, severity: Any, message: str, advice: str) -> None:
        full = f"disk {name} {message}"
        found.append(
            Notice(code=code, subject=name, severity=severity, message=full, advice=advice)
        )

    if reading.passed is False:
        warn("smart-failed", "critical", "fails its own health check (SMART)", leave)
    elif reading.below_threshold:
        warn("smart-threshold", "warning", "has an attribute beyond its limit (SMART)", leave)
    bad = reading.reallocated_sectors or 0
    if bad >= REALLOCATED_MAX:
        warn("smart-reallocated", "warning", f"has {bad} reallocated sectors", leave)
    unreadable = max(reading.pending_sectors or 0, reading.uncorrectable_sectors or 0)
    if unreadable:
        advice = f"drystone scrub --now heals what it holds; if they remain, {leave}"
        warn("smart-pending", "warning", f"has {unreadable} unreadable sectors", advice)
    return found


# ---- Asking smartctl -----------------------------------------------------------------------------
# Asking smartctl: it owns when a disk is asked and what it last said; `smart` owns the meaning.
#
# Every disk is asked at most once an hour, by a thread of its own for that moment, so that a device
# that hangs keeps nobody. One that sleeps is not woken. Where smartctl is missing or may not look,
# one notice says so.

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

    def __init__(self, program: str) -> None:
        self._program = program
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
                found += smart_notices(disk.name, asked.last)
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

    def _read(self, device: str, *options: str) -> SmartReading:
        arguments = ("--json", "-H", "-A", device, *LET_SLEEP, *options)
        command = [self._program, *arguments]
        ended = run_command(command, TIMEOUT_S, said_bytes_max=OUTPUT_SIZE_BYTES_MAX)
        if ended.code is None:
            raise _NotRunError(ended.problem)
        return parse_smart(ended.said.decode("utf-8", "replace"), ended.code)
