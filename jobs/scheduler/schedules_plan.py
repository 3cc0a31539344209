"""What to do about firings whose time has come: it owns the catch-up policies, and has no clock.

A scheduler that was away finds several firings due at once. The latest is on time when it is not
older than ON_TIME_S. Of the others, and of a latest one that is late, the policy decides:

- `skip`: none is made up for; the work waits for its next time.
- `once`: one run makes up for all of them.
- `all`: each is made up for, the oldest beyond the limit excepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from jobs.scheduler.schedules_cron import Cron, latest_firings, next_firing

CatchUp = Literal["skip", "once", "all"]

ON_TIME_S = 300.0
"""A restart of the scheduler takes less; later than this, a firing was missed."""
MISSED_MAX = 200
"""So many missed firings are listed one by one; of still older ones the first only.

It is also the most that the policy `all` can make up for.
"""


@dataclass(frozen=True, slots=True)
class Firing:
    """One time that was due; it fires, or `reason` says why not."""

    due_time: datetime
    fires: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Firings, oldest first, and the time after which to look again; None when there is none."""

    firings: tuple[Firing, ...]
    next_time: datetime | None


def make_plan(
    cron: Cron, due_time: datetime, now: datetime, catch_up: CatchUp, catch_up_max: int
) -> Plan:
    """Decide about all firings from `due_time` (the first that was not decided about) to `now`."""
    if due_time > now:
        return Plan((), due_time)
    later = latest_firings(cron, due_time, now, MISSED_MAX)
    due = [due_time, *later]
    latest = due[-1]
    if catch_up == "all":
        making_up = set(due[-catch_up_max:])
        why = f"missed, with more than {catch_up_max} others"
    elif catch_up == "once":
        making_up, why = {latest}, "missed; one run makes up for it and others"
    else:
        on_time = now - latest <= timedelta(seconds=ON_TIME_S)
        making_up, why = ({latest} if on_time else set[datetime]()), "missed"
    decided = [Firing(time, time in making_up, "" if time in making_up else why) for time in due]
    if later and next_firing(cron, due_time) != later[0]:
        reason = f"{why}; the times until {later[0].isoformat()} were missed too"
        decided[0] = Firing(due_time, fires=False, reason=reason)
    return Plan(tuple(decided), next_firing(cron, now))
