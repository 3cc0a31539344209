"""What a disk says of itself: it owns reading smartctl's JSON and what it warns of; pure functions.

The shapes are those of smartctl 7 (`smartctl --json -H -A DEVICE`), for ATA, NVMe and SCSI.
"""

import re
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from base.files import parse_json
from fsd.documents.models import Notice

# The exit status of smartctl is a set of bits; the first two mean that nothing was read.
EXIT_COMMAND_LINE = 1
EXIT_OPEN_FAILED = 2
EXIT_FAILING = 8
EXIT_BELOW_THRESHOLD = 16

REALLOCATED, SPIN_RETRY, POWER_ON_HOURS, TEMPERATURE = 5, 10, 9, 194
REPORTED_UNCORRECTABLE, PENDING, OFFLINE_UNCORRECTABLE = 187, 197, 198
REALLOCATED_MAX = 50
"""A few reallocated sectors are life; this many, or growing, is a trend."""
TEMPERATURE_MAX_C = 55
TEMPERATURE_CRITICAL_C = 65
WEAR_MAX_PERCENT = 95
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
    temperature_c: int | None = None
    power_on_hours: int | None = None
    percent_used: int | None = None
    media_errors: int | None = None
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
    nvme = _table(document, "nvme_smart_health_information_log")
    pending = attributes.get(PENDING)
    uncorrectable = [attributes.get(number) for number in (OFFLINE_UNCORRECTABLE,)]
    passed = _table(document, "smart_status").get("passed")
    return SmartReading(
        passed=passed if isinstance(passed, bool) else None,
        reallocated_sectors=_first(
            attributes.get(REALLOCATED), document.get("scsi_grown_defect_list")
        ),
        pending_sectors=pending,
        uncorrectable_sectors=_first(*uncorrectable),
        temperature_c=_first(_table(document, "temperature").get("current")),
        power_on_hours=_first(
            _table(document, "power_on_time").get("hours"), attributes.get(POWER_ON_HOURS)
        ),
        percent_used=_first(nvme.get("percentage_used")),
        media_errors=_first(nvme.get("media_errors")),
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


def smart_notices(name: str, reading: SmartReading, earlier: SmartReading | None) -> list[Notice]:
    """Return what a reading warns of; `earlier` is one of before, to see what grows."""
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
    grown = earlier is not None and bad > (earlier.reallocated_sectors or 0)
    if bad >= REALLOCATED_MAX or grown:
        more = ", and their number grows" if grown else ""
        warn("smart-reallocated", "warning", f"has {bad} reallocated sectors{more}", leave)
    unreadable = max(reading.pending_sectors or 0, reading.uncorrectable_sectors or 0)
    if unreadable:
        advice = f"drystone scrub --now heals what it holds; if they remain, {leave}"
        warn("smart-pending", "warning", f"has {unreadable} unreadable sectors", advice)
    if reading.media_errors:
        warn("smart-media", "warning", f"has {reading.media_errors} media errors", leave)
    if (reading.percent_used or 0) >= WEAR_MAX_PERCENT:
        warn("smart-worn", "warning", f"is worn to {reading.percent_used} %", leave)
    degrees = reading.temperature_c or 0
    if degrees >= TEMPERATURE_MAX_C:
        severity = "critical" if degrees >= TEMPERATURE_CRITICAL_C else "warning"
        warn("smart-hot", severity, f"is at {degrees} °C", "give it air; heat shortens its life")
    return found
