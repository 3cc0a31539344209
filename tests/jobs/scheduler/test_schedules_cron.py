"""Cron over real clocks: compared with a minute-by-minute reading of the wall, and by hand."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from command import ROOT
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import UsageError
from jobs.scheduler.schedules_cron import (
    EXPRESSION_LENGTH_MAX,
    describe_cron,
    firings,
    latest_firings,
    next_firing,
    next_firings,
    parse_cron,
)
from jobs.scheduler.schedules_plan import MISSED_MAX, make_plan

BERLIN = "Europe/Berlin"
SPRING = datetime(2026, 3, 28, 23, 45, tzinfo=UTC)
"""An hour and a quarter before 02:00 becomes 03:00."""
AUTUMN = datetime(2026, 10, 24, 22, 45, tzinfo=UTC)
"""Two hours and a quarter before 03:00 becomes 02:00 again."""


def local_times(expression: str, after: datetime, count: int, zone: str = BERLIN) -> list[str]:
    cron = parse_cron(expression, zone)
    return [
        moment.astimezone(cron.zone).strftime("%d %H:%M%z")
        for moment in next_firings(cron, after, count)
    ]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # A time that does not exist fires at the jump, once.
        ("30 2 * * *", SPRING, ["29 03:00+0200", "30 02:30+0200"]),
        ("*/20 2 * * *", SPRING, ["29 03:00+0200", "30 02:00+0200"]),
        ("0,30 1-3 * * *", SPRING, ["29 01:00+0100", "29 01:30+0100", "29 03:00+0200",
                                    "29 03:30+0200", "30 01:00+0200"]),
        # One that exists twice fires the first time.
        ("30 2 * * *", AUTUMN, ["25 02:30+0200", "26 02:30+0100"]),
        # Every hour goes on by real time.
        ("30 * * * *", SPRING, ["29 01:30+0100", "29 03:30+0200", "29 04:30+0200"]),
        ("30 * * * *", AUTUMN, ["25 01:30+0200", "25 02:30+0200", "25 02:30+0100",
                                "25 03:30+0100"]),
        ("0 0-23 * * *", AUTUMN, ["25 01:00+0200", "25 02:00+0200", "25 02:00+0100"]),
    ],
)  # fmt: skip
def test_clocks_that_jump(expression: str, after: datetime, expected: list[str]):
    assert local_times(expression, after, len(expected)) == expected


def test_a_day_that_an_island_left_out():
    # Samoa had no 30 December 2011.
    after = datetime(2011, 12, 29, 12, tzinfo=UTC)
    assert local_times("0 12 30 12 *", after, 2, "Pacific/Apia") == [
        "31 00:00+1400",
        "30 12:00+1400",
    ]


ZONES = ("UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
JUMPS = {
    "UTC": datetime(2026, 6, 1, tzinfo=UTC),
    BERLIN: datetime(2026, 10, 25, 1, tzinfo=UTC),
    "America/New_York": datetime(2026, 3, 8, 7, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 15, tzinfo=UTC),
    "Asia/Kathmandu": datetime(2026, 6, 1, tzinfo=UTC),
}


@settings(max_examples=40, deadline=None)
@given(
    minute=st.sampled_from(["0", "30", "*/15", "7,37", "*"]),
    hour=st.sampled_from(["*", "1", "2", "1-3", "*/2"]),
    zone=st.sampled_from(ZONES),
    offset_min=st.integers(-200, 60),
)
def test_firings_are_those_of_a_reading_of_the_wall(minute, hour, zone, offset_min):
    cron = parse_cron(f"{minute} {hour} * * *", zone)
    begin = JUMPS[zone] + timedelta(minutes=offset_min)
    end = begin + timedelta(hours=4)
    found = list(takewhile(lambda moment: moment <= end, firings(cron, begin)))
    assert found == read_the_wall(cron, begin, end)


def read_the_wall(cron, begin: datetime, end: datetime) -> list[datetime]:
    """Look at the clock every minute, as a cron daemon that never sleeps; returns when it fires."""
    expected = []
    read = CronSim(" ".join(cron.fields), begin)
    moment = begin - timedelta(hours=2)
    shown: set[datetime] = set()
    wall = moment.astimezone(cron.zone).replace(tzinfo=None)

    def matches(wall: datetime) -> bool:
        return wall.minute in read.minutes and wall.hour in read.hours

    while moment <= end:
        now = moment.astimezone(cron.zone).replace(tzinfo=None)
        # Walls between the last look and this one were jumped over.
        missed = [wall + timedelta(minutes=n) for n in range(1, round((now - wall).seconds / 60))]
        jumped = now > wall and not cron.every_hour and any(map(matches, missed))
        fires = matches(now) and (cron.every_hour or now not in shown)
        if (fires or jumped) and moment > begin:
            expected.append(moment)
        shown.add(now)
        wall, moment = now, moment + timedelta(minutes=1)
    return expected


@pytest.mark.parametrize(
    "expression",
    ["", " ", "* * * *", "* * * * * *", "* * * * * * 2030", "60 * * * *", "*/0 * * * *",
     "0 0 30 2 *", "0 0 * * fri#9", "@reboot", "H * * * *", "R R * * *", "٣ * * * *",
     "0 0 * * \x1b[2J", "0 0 1 13 *", "a b c d e", "0;0 * * *", "1-2-3 * * * *", "- * * * *",
     "0 0 * * fri#", "0," * EXPRESSION_LENGTH_MAX + "0 * * * *", "* " * 100_000,
     "\x00 * * * *", "\ud800 * * * *", "0 0 0 * *", "0 0 15w * *", "0 22-2/2 * * *",
     "0 0 l-3 * *", "1-99 * * * *"],
)  # fmt: skip
def test_what_is_no_expression_is_refused_in_a_line(expression: str):
    with pytest.raises(UsageError) as refusal:
        parse_cron(expression, "UTC")
    assert len(str(refusal.value)) < 1000
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    "zone",
    ["", "Europe/Atlantis", "../../etc/passwd", "/etc/localtime", "Europe", "UTC\x00", "x" * 5000,
     "Europe/Berlin/", "\ud800", "."],
)  # fmt: skip
def test_what_is_no_zone_is_refused(zone: str):
    with pytest.raises(UsageError, match="time zone"):
        parse_cron("* * * * *", zone)


def test_a_machine_without_zones_says_what_to_install():
    code = (
        "import sys, zoneinfo; sys.modules['tzdata'] = None; zoneinfo.reset_tzpath([])\n"
        "from jobs.scheduler.schedules_cron import parse_cron; parse_cron('@daily', 'Asia/Tokyo')"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "UsageError: this machine knows no time zones at all; install them" in ended.stderr


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789*/,-#lLwW? @abcdefghijmnorstuvy", max_size=40))
def test_no_text_breaks_it(text: str):
    try:
        cron = parse_cron(text, BERLIN)
    except UsageError:
        return
    describe_cron(cron)
    moments = next_firings(cron, datetime(2026, 11, 21, tzinfo=UTC), 3)
    assert moments == sorted(set(moments))


def test_rare_days_are_found_and_the_end_of_the_calendar_is_the_end():
    assert local_times("0 0 29 2 *", SPRING, 2) == ["29 00:00+0100", "29 00:00+0100"]
    late = datetime(2399, 12, 31, tzinfo=UTC)
    cron = parse_cron("0 0 1 6 *", "UTC")
    assert next_firings(cron, late, 5) == [datetime(2400, 6, 1, tzinfo=UTC)]
    assert next_firing(cron, datetime(2400, 6, 1, tzinfo=UTC)) is None


def test_the_latest_are_found_from_the_end():
    cron = parse_cron("* * * * *", "UTC")
    now = datetime(2026, 11, 21, 8, 0, 30, tzinfo=UTC)
    found = latest_firings(cron, datetime(1990, 1, 1, tzinfo=UTC), now, 3)
    assert [moment.minute for moment in found] == [58, 59, 0]
    assert latest_firings(cron, now, now, 3) == []
    assert latest_firings(cron, now - timedelta(minutes=2), now, 9) == found[1:]


# ---- What is made up for ----------------------------------------------------------------------

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def planned(catch_up, due: datetime, now: datetime = NOW, count: int = 10, cron: str = "0 * * * *"):
    plan = make_plan(parse_cron(cron, "UTC"), due, now, catch_up, count)
    return [(one.due_time.hour, one.fires) for one in plan.firings], plan


def test_one_that_is_due_now_fires_whatever_the_policy():
    for catch_up in ("skip", "once", "all"):
        rows, plan = planned(catch_up, NOW, NOW + timedelta(seconds=20))
        assert rows == [(8, True)]
        assert plan.next_time == NOW + timedelta(hours=1)
        assert planned(catch_up, NOW, NOW - timedelta(seconds=1))[0] == []


def test_what_was_missed_follows_the_policy():
    due, now = NOW - timedelta(hours=3), NOW + timedelta(minutes=30)
    assert planned("skip", due, now)[0] == [(5, False), (6, False), (7, False), (8, False)]
    assert planned("skip", due, NOW)[0] == [(5, False), (6, False), (7, False), (8, True)]
    assert planned("once", due, now)[0] == [(5, False), (6, False), (7, False), (8, True)]
    assert planned("all", due, now, 2)[0] == [(5, False), (6, False), (7, True), (8, True)]
    rows, plan = planned("all", due, now)
    assert [fires for _, fires in rows] == [True] * 4
    assert all(one.reason for one in planned("skip", due, now)[1].firings)
    assert plan.next_time == NOW + timedelta(hours=1)


def test_years_of_missed_minutes_are_a_short_history():
    due = datetime(2001, 1, 1, tzinfo=UTC)
    for catch_up, fired in (("skip", 1), ("once", 1), ("all", 5)):
        rows, plan = planned(catch_up, due, NOW, 5, "* * * * *")
        assert len(rows) == MISSED_MAX + 1
        assert sum(fires for _, fires in rows) == fired
        assert [fires for _, fires in rows][-fired:] == [True] * fired
        assert "were missed too" in plan.firings[0].reason
        assert plan.firings[0].due_time == due


@pytest.mark.parametrize(
    ("expression", "same"),
    [
        ("30 22-2 * * *", "30 22,23,0,1,2 * * *"),
        ("0 0 * * fri-mon", "0 0 * * 5,6,0,1"),
        ("0 0 * * mon-sun", "0 0 * * *"),
        ("0 0 * * 7-2", "0 0 * * 0,1,2"),
        ("0 0 * * sun-sun", "0 0 * * 7"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("0 0 ? nov-feb *", "0 0 * 11,12,1,2 *"),
        ("0 0 */1 * mon", "0 0 * * mon"),
        # Either of two days is enough, however they are written.
        ("0 0 */10 * mon", "0 0 1,11,21,31 * 1"),
        ("0 0 1-31 * mon", "0 0 * * *"),
        ("0 0 15 * */2", "0 0 15 * 0,2,4,6"),
        ("0 0 28-2 * l5", "0 0 1,2,28,29,30,31 * 5l"),
    ],
)
def test_what_is_written_otherwise_is_the_same(expression: str, same: str):
    assert local_times(expression, SPRING, 60) == local_times(same, SPRING, 60)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("* * * * *", "every minute (UTC)"),
        ("*/5 * * * *", "every fifth minute of every hour (UTC)"),
        ("@hourly", "at the start of every hour (UTC)"),
        ("7 * * * *", "at minute 7 of every hour (UTC)"),
        ("30 3 * * *", "at 03:30 every day (UTC)"),
        ("30 1,2 * jan,mar-may *",
         "at 01:30 and 02:30 in January and every month from March through May (UTC)"),
        ("*/15 9-17 * * 1-5",
         "every 15th minute from 09:00 through 17:59 on Monday through Friday (UTC)"),
        ("0 0 * * 5-7", "at 00:00 on Friday through Sunday (UTC)"),
        ("0 0 * * sat-sun", "at 00:00 on Saturday and Sunday (UTC)"),
        ("0 0 * * fri#2", "at 00:00 on the second Friday of the month (UTC)"),
        ("0 0 * * l5", "at 00:00 on the last Friday of the month (UTC)"),
        ("0 0 lw * *", "at 00:00 on the last weekday of every month (UTC)"),
        ("0 0 1,l * mon",
         "at 00:00 on the first and the last day of month and on Monday (UTC)"),
    ],
)  # fmt: skip
def test_plain_words(expression: str, text: str):
    assert describe_cron(parse_cron(expression, "UTC")) == text
