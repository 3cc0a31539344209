"""The page of statistics: what came in by day, source, type and account; viewers see it all."""

from __future__ import annotations

import json
from datetime import date, timedelta

import command
import gui_harness
import pytest
from gui_harness import PASSWORD, Scene

from gui.access.people import add_user
from gui.pages.statistics.reading import BARS_MAX, Bar, bars_of
from sql.operations.statistics import Count, DayCount, Statistics

DAY = date(2026, 3, 1)


def counted(days: int, *came: int) -> Statistics:
    """Return the answer for so many days, on some of which one node of ten bytes came."""
    count = {"nodes": 1, "files": 1, "size_bytes": 10}
    return Statistics(
        since=DAY,
        until=DAY + timedelta(days=days - 1),
        total=Count(nodes=len(came), files=len(came), size_bytes=10 * len(came)),
        days=[DayCount(day=DAY + timedelta(days=number), **count) for number in came],
        sources=[],
        types=[],
        users=[],
    )


def test_days_become_bars_those_without_anything_too():
    assert bars_of(counted(3, 1)) == (
        Bar(DAY, DAY, 0, 0, 0),
        Bar(DAY + timedelta(days=1), DAY + timedelta(days=1), 1, 1, 10),
        Bar(DAY + timedelta(days=2), DAY + timedelta(days=2), 0, 0, 0),
    )
    many = bars_of(counted(BARS_MAX + 1, 0, 1, 2, BARS_MAX))
    assert len(many) == BARS_MAX // 2 + 1
    assert (many[0], many[1].nodes) == (Bar(DAY, DAY + timedelta(days=1), 2, 2, 20), 1)
    last = DAY + timedelta(days=BARS_MAX)
    assert many[-1] == Bar(last, last, 1, 1, 10), "the last one ends with the last day"


@pytest.mark.asyncio
async def test_what_came_in_is_shown_and_can_be_looked_into(scene: Scene):
    async with gui_harness.simulated(scene, "vera") as (user, _):
        await user.open("/statistics")
        for words in ("By source", "By type", "By user", "tester", "image", "As a table"):
            await user.should_see(words)
        await user.open("/statistics?user=tester&type=image")
        await user.should_see("User: tester ×")
        await user.should_see("Type: image ×")
        await user.open("/statistics?since=2001-01-01&until=2001-01-02")
        await user.should_see("Nothing came in")
        await user.open("/statistics?since=2001-01-02&until=2001-01-01")
        await user.should_see("the last day is before the first one")
        await user.open("/statistics?since=%3Cscript%3E&type=x")
        await user.should_see("These days cannot be shown")


def test_programs_and_the_shell_are_told_the_same_and_guests_nothing(served: Scene):
    vera = served.token("vera", "viewer")
    answer = served.ask("GET", "/api/v1/stats?user=tester", Authorization=vera)
    told = answer.document
    assert answer.status == 200 and told["total"]["files"] == sum(
        one["files"] for one in told["types"]
    )
    assert [one["name"] for one in told["users"]] == ["tester"]
    config = ("--user", "tester", "--config", served.store.config_path)
    assert json.loads(command.drystone("stats", "--json", *config).stdout) == told
    table = command.drystone("stats", *config).stdout.decode()
    assert "tester" in table and f"{told['total']['nodes']:,} nodes" in table
    refused = served.ask("GET", "/api/v1/stats?since=2026-02-30", Authorization=vera)
    assert refused.status == 422 and "since" in refused.document["problems"][0]
    add_user(served.database, "gust", "guest", PASSWORD)
    guest = served.log_in("gust")
    assert served.ask("GET", "/api/v1/stats", Cookie=guest).status == 403
    assert b"By source" not in served.ask("GET", "/statistics", Cookie=guest).body
