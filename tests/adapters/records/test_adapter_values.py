"""Numbers and times as sources write them: nothing is invented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from adapters.records.times import parse_time, time_of_ns
from adapters.records.values import as_count, as_integer, as_number

NOON = datetime(2020, 1, 1, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        2020,
        "2020",
        "2020.0",
        202001,
        "202001",
        2020001,
        86_400,
        "2020-05",
        "May 2020",
        "12 May",
        "12:30:15",
        20201301,
        "20200230",
        12345678,
        20200101123060,
        "133224030000000000",
        10**25,
        float("nan"),
        float("inf"),
        1e22,
        0.0,
        "-0",
        True,
        "1e9",
    ],
)
def test_what_names_no_day_is_no_time(value: object):
    assert parse_time(value) is None


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (20200101, datetime(2020, 1, 1, tzinfo=UTC)),
        (202001011230, NOON),
        ("20200101123015", NOON.replace(second=15)),
        ("20200101123015250", NOON.replace(second=15, microsecond=250_000)),
        ("20200101T123000Z", NOON),
        ("2020-01-01T12:30:00+00:00", NOON),
        ("Wed, 01 Jan 2020 12:30:00 GMT", NOON),
        ("Wed Jan 01 12:30:00 +0000 2020", NOON),
        ("1 January 2020 12:30", NOON),
        (1577881800.25, NOON.replace(microsecond=250_000)),
        ("1577881800.25", NOON.replace(microsecond=250_000)),
        (1577881800250, NOON.replace(microsecond=250_000)),
        (1577881800250001, NOON.replace(microsecond=250_001)),
        ("1577881800250001999", NOON.replace(microsecond=250_001)),
        ("-1577836800", datetime(1920, 1, 2, tzinfo=UTC)),
        (999_999_999_000, datetime(2001, 9, 9, 1, 46, 39, tzinfo=UTC)),
        (100_000_000, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
    ],
)
def test_times_of_every_form(value: object, time: datetime):
    assert parse_time(value) == time


def test_a_date_in_digits_is_in_the_zone_asked_for():
    zone = timezone(timedelta(hours=9))
    assert parse_time("202001012130", zone) == NOON
    assert parse_time("2020-01-01 21:30", zone) == NOON
    assert parse_time("1577881800", zone) == NOON


@pytest.mark.parametrize("time_ns", [2**62 * 1000, -(2**62) * 1000, 10**30, 9_000 * 10**18])
def test_the_time_of_a_file_may_be_absurd(time_ns: int):
    assert time_of_ns(time_ns) is None


def test_the_time_of_a_file():
    assert time_of_ns(1_577_881_800 * 10**9 + 1_999) == NOON.replace(microsecond=1)
    assert time_of_ns(0) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9,223,372,036,854,775,807", 2**63 - 1),
        ("-9,223,372,036,854,775,807", -(2**63 - 1)),
        ("9,223,372,036,854,775,808", None),
        ("1,23", None),
        (",123", None),
        ("1,,234", None),
        ("1234,567", None),
        ("1_000", None),
        ("\u0661\u0662", None),
        (" 007 ", 7),
        ("9" * 100_000, None),
    ],
)
def test_integers_with_commas(text: str, number: int | None):
    assert as_integer(text) == number
    assert as_count(text) == (number if number is not None and number >= 0 else None)


@pytest.mark.parametrize(("text", "number"), [("1_000", None), ("\u0661", None), ("1.5", 1.5)])
def test_numbers_are_in_plain_digits(text: str, number: float | None):
    assert as_number(text) == number
