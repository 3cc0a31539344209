"""A cron expression in plain English: it owns the wording, from what croniter understood of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from croniter import croniter

from jobs.scheduler.schedules_cron import Cron

TIMES_LISTED_MAX = 6
_MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]  # fmt: skip
_WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
_PLACES = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", "l": "last"}


def describe_cron(cron: Cron) -> str:
    """Return one line such as `at 03:30, on Monday to Friday, in June (Europe/Berlin)`."""
    if "w" in _without_names(cron.fields[2]):
        # The weekday nearest to a day: croniter keeps it to itself.
        return f"cron {' '.join(cron.fields)} ({cron.zone.key})"
    (minutes, hours, days, months, weekdays), places = croniter.expand(" ".join(cron.fields))
    parts = [_times(minutes, hours), _days(days, weekdays, places)]
    if months != ["*"]:
        parts.append(f"in {_joined([_MONTHS[m - 1] for m in months], months)}")  # pyright: ignore[reportOperatorIssue]
    return f"{', '.join(parts)} ({cron.zone.key})"


def _without_names(field: str) -> str:
    return field.replace("wed", "")


def _times(minutes: Sequence[Any], hours: Sequence[Any]) -> str:
    if hours == ["*"]:
        return _within_hour(minutes)
    if minutes != ["*"] and len(minutes) * len(hours) <= TIMES_LISTED_MAX:
        return "at " + _and([f"{hour:02}:{minute:02}" for hour in hours for minute in minutes])
    named = [f"{hour:02}" for hour in hours]
    what = "the hour" if len(hours) == 1 else "the hours"
    return f"{_within_hour(minutes, 'each hour')}, in {what} {_joined(named, hours)}"


def _within_hour(minutes: Sequence[Any], hour: str = "every hour") -> str:
    if minutes == ["*"]:
        return "every minute"
    if len(minutes) == 1:
        return f"at minute {minutes[0]} of {hour}" if minutes[0] else f"at the start of {hour}"
    steps = {b - a for a, b in zip(minutes, [*minutes[1:], minutes[0] + 60], strict=True)}
    if len(steps) == 1 and minutes[0] == 0:
        return f"every {steps.pop()} minutes"
    return f"at minutes {_joined([str(minute) for minute in minutes], minutes)} of {hour}"


def _days(days: Sequence[Any], weekdays: Sequence[Any], places: Mapping[Any, Any]) -> str:
    either: list[str] = []
    if days != ["*"]:
        numbers = [day for day in days if day != "l"]
        named = [f"day {_joined([str(day) for day in numbers], numbers)}"] if numbers else []
        last = ["the last day"] if "l" in days else []
        either.append(f"on {_and([*named, *last])} of the month")
    if places:
        ordered = [
            f"{_PLACES.get(place, place)} {_WEEKDAYS[weekday % 7]}"
            for weekday, which in sorted(places.items())
            for place in sorted(which, key=str)
        ]
        either.append(f"on the {_and(ordered)} of the month")
    elif weekdays != ["*"]:
        numbers = sorted(weekdays, key=lambda day: (day - 1) % 7)
        shifted = [(day - 1) % 7 for day in numbers]
        either.append(f"on {_joined([_WEEKDAYS[day % 7] for day in numbers], shifted)}")
    return " or ".join(either) or "every day"


def _joined(names: Sequence[str], numbers: Sequence[Any]) -> str:
    """Join names, with `to` where three or more of their numbers follow each other."""
    runs: list[list[int]] = []
    for place, number in enumerate(numbers):
        if runs and number == numbers[runs[-1][-1]] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    texts: list[str] = []
    for run in runs:
        if len(run) > 2:
            texts.append(f"{names[run[0]]} to {names[run[-1]]}")
        else:
            texts += [names[place] for place in run]
    return _and(texts)


def _and(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
