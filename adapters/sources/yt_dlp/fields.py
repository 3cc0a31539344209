"""Single fields of an info dict: it owns which key of which generation holds them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from adapters.records.times import parse_time
from adapters.records.values import as_number, as_text


def identity_of(info: dict[str, Any], platform: str) -> dict[str, Any]:
    """Return the columns that say which video this is."""
    return {"site": platform, "video_id": as_text(info.get("id"), 1_000)}


def title_of(info: dict[str, Any]) -> str | None:
    """Return the title; one without has its description."""
    keys = ("title", "fulltitle", "alt_title", "description")
    return next((text for key in keys if (text := as_text(info.get(key)))), None)


def time_of(info: dict[str, Any]) -> datetime | None:
    """Return when it was published."""
    keys = ("timestamp", "release_timestamp", "upload_date", "release_date")
    return next((time for key in keys if (time := parse_time(info.get(key)))), None)


def duration_of(info: dict[str, Any]) -> float | None:
    """Return the length in seconds."""
    duration_s = as_number(info.get("duration"))
    return duration_s if duration_s is not None and duration_s >= 0 else None


def live_status_of(info: dict[str, Any]) -> str | None:
    """Return whether it is or was live, also as old releases say it."""
    said = as_text(info.get("live_status"), 40)
    if said is None and info.get("is_live") is True:
        return "is_live"
    return "was_live" if said is None and info.get("was_live") is True else said
