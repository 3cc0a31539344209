"""What came in, counted: each node once, on its day, for its first source and first account."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import ValidationError

from base.operations.operation import Caller
from sql import CommonMetadata, Database, PhysicalNode, VirtualNode, WriteIntent, key_of
from sql.core.declared import Column, DeclaredTable
from sql.datasets import statistics_book
from sql.operations.place import Place
from sql.operations.statistics import DAYS_MAX, NAMES_MAX, Statistics, StatsRequest, stats

VERA = Caller("vera", "viewer")
FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)


def key(number: int) -> str:
    return key_of(f"file {number}")


@pytest.fixture
def filled(database: Database) -> Database:
    """Two batches of ann and bob that share a file, and a file of nobody."""
    for source in ("a", "b"):
        columns = (Column(name="x", type="text", comment="Test"),)
        table = DeclaredTable(
            name=source, version=1, kind="source", comment="Test", columns=columns
        )
        database.declare(table)
    for name, user, numbers, source in (
        ("one", "ann", (0, 1, 2), "a"),
        ("two", "bob", (2, 3), "b"),
        (None, None, (4,), None),
    ):
        if name is not None:
            database.ingests.open(name, "test", user, "/x")
        described = () if source is None else numbers
        database.apply_intent(
            WriteIntent(
                intent_id=f"intent {name}",
                ingest_batch=name,
                physical_nodes=tuple(
                    PhysicalNode(key=key(n), size_bytes=10**n, extension="mp4" if n == 3 else "jpg")
                    for n in numbers
                ),
                virtual_nodes=(VirtualNode(description=f"author {name}"),) if name else (),
                common_metadata=tuple(
                    CommonMetadata(key=key(n), source=source or "", is_root=True) for n in described
                ),
            )
        )
    with database.connection() as connection:
        connection.execute(
            "UPDATE ingest_batch SET state = 'described', "
            "create_time = CASE name WHEN 'one' THEN %s ELSE %s END",
            [at(FIRST, 23, 59), at(SECOND, 0, 0)],
        )
        connection.execute(
            "UPDATE physical_content SET create_time = CASE WHEN file_size_bytes < 1000 THEN %s "
            "ELSE %s END",
            [at(FIRST, 23, 59), at(SECOND, 0, 0)],
        )
    return database


def at(day: date, hour: int, minute: int) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def told(database: Database, **asked: object) -> Statistics:
    request = StatsRequest.model_validate({"since": FIRST, "until": SECOND, **asked})
    return stats(Place("", lambda: database), VERA, request)


def parts(counts: list) -> dict[object, tuple[int, int, int]]:
    return {
        getattr(one, "name", None) or one.day: (one.nodes, one.files, one.size_bytes)
        for one in counts
    }


def test_each_node_counts_once_for_what_was_first(filled: Database):
    found = told(filled)
    total = (found.total.nodes, found.total.files, found.total.size_bytes)
    assert total == (7, 5, 11_111)
    assert parts(found.days) == {FIRST: (4, 3, 111), SECOND: (3, 2, 11_000)}
    assert parts(found.sources) == {"none": (3, 1, 10_000), "b": (1, 1, 1_000), "a": (3, 3, 111)}
    assert parts(found.types) == {
        "image": (4, 4, 10_111), "video": (1, 1, 1_000), "none": (2, 0, 0),
    }  # fmt: skip
    assert parts(found.users) == {
        "none": (1, 1, 10_000), "bob": (2, 1, 1_000), "ann": (4, 3, 111),
    }  # fmt: skip
    assert [one.name for one in found.users] == ["none", "bob", "ann"], "the largest first"


def test_a_part_is_counted_by_all_others(filled: Database):
    found = told(filled, user="ann")
    assert (found.total.nodes, parts(found.days)) == (4, {FIRST: (4, 3, 111)})
    assert parts(told(filled, type="none").users) == {"ann": (1, 0, 0), "bob": (1, 0, 0)}
    assert parts(told(filled, source="b", type="video").days) == {SECOND: (1, 1, 1_000)}
    assert told(filled, source="nothing").total.nodes == 0


def test_days_bound_what_is_counted(filled: Database):
    assert told(filled, until=FIRST).total.files == 3
    assert told(filled, since=SECOND).total.files == 2
    nothing = told(filled, since=SECOND + timedelta(days=1), until=SECOND + timedelta(days=9))
    assert (nothing.total.nodes, nothing.days) == (0, [])


def test_without_days_it_is_the_last_thirty():
    before = datetime.now(UTC).date()
    since, until = StatsRequest().days
    assert (until - since).days == 29 and before <= until <= datetime.now(UTC).date()
    assert StatsRequest(until=SECOND).days[0] == SECOND - timedelta(days=29)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"since": SECOND, "until": FIRST}, "before the first"),
        ({"since": FIRST, "until": FIRST + timedelta(days=DAYS_MAX)}, "at most 3,660 days"),
        ({"since": date(1, 1, 1)}, "from 1970-01-01"),
        ({"until": date(9999, 12, 31)}, "from 1970-01-01"),
        ({"since": "yesterday"}, "date"),
        ({"type": "document"}, "'image'"),
    ],
)
def test_what_cannot_be_asked_is_said(asked: dict[str, object], words: str):
    with pytest.raises(ValidationError, match=words):
        StatsRequest.model_validate(asked)


def test_many_accounts_are_named_up_to_a_number(filled: Database):
    for number in range(NAMES_MAX + 5):
        name = f"many {number}"
        filled.ingests.open(name, "test", f"user {number}", "/x")
        author = VirtualNode(description=f"author {number}")
        filled.apply_intent(WriteIntent(intent_id=name, ingest_batch=name, virtual_nodes=(author,)))
    today = datetime.now(UTC).date()
    found = told(filled, since=FIRST, until=today + timedelta(days=1))
    assert len(found.users) == NAMES_MAX + 1 and found.users[-1].name == "others"
    assert sum(one.nodes for one in found.users) == found.total.nodes


def test_days_that_have_passed_are_counted_once_and_tell_the_same(filled: Database):
    kept = (told(filled), told(filled, user="ann"), told(filled, until=FIRST))
    book = filled.statistics
    assert book.count_days(60, at(SECOND, 5, 0)) == 0, "the first is not closed yet"
    assert book.count_days(60, at(SECOND, 7, 0)) == 1
    assert anew(filled) == kept, "one day from its counts, one counted now"
    assert book.count_days(60, at(SECOND + timedelta(days=9), 7, 0)) == 9
    assert anew(filled) == kept
    with filled.connection() as connection:
        connection.execute("DELETE FROM common_metadata")
    assert anew(filled) == kept, "nothing is counted again"
    assert book.count_days(60, at(SECOND, 7, 0)) == 0, "nor where the clock went back"


def test_counting_stops_in_time_and_goes_on(filled: Database):
    now = at(SECOND + timedelta(days=2), 7, 0)
    assert [filled.statistics.count_days(0, now) for _ in range(4)] == [1, 1, 1, 0]


def test_a_day_waits_for_what_began_on_it_but_not_for_ever(filled: Database):
    with filled.connection() as connection:
        connection.execute("UPDATE ingest_batch SET state = 'stored' WHERE name = 'two'")
    now = at(SECOND + timedelta(days=3), 7, 0)
    assert filled.statistics.count_days(60, now) == 1, "the second has more to come"
    assert told(filled).total.nodes == 7
    assert filled.statistics.count_days(60, now + timedelta(days=40)) > 30
    assert anew(filled)[0].total.nodes == 7


def test_a_node_of_batches_whose_days_are_not_in_the_order_of_their_numbers(filled: Database):
    """Two transactions across midnight, or a clock that went back."""
    shared = (VirtualNode(description="of both"),)
    for name in ("one", "two"):
        filled.apply_intent(
            WriteIntent(intent_id=f"more {name}", ingest_batch=name, virtual_nodes=shared)
        )
    with filled.connection() as connection:
        connection.execute(
            "UPDATE ingest_batch SET create_time = CASE name WHEN 'one' THEN %s ELSE %s END",
            [at(SECOND, 0, 0), at(FIRST, 23, 59)],
        )
    before = told(filled)
    assert before.total.nodes == 8
    assert filled.statistics.count_days(60, at(SECOND + timedelta(days=2), 7, 0)) == 3
    assert anew(filled)[0] == before


def test_two_who_count_count_each_day_once(filled: Database):
    now = at(SECOND + timedelta(days=20), 7, 0)
    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(lambda _: filled.statistics.count_days(60, now), range(4)))
    assert sum(counts) == 21
    assert anew(filled)[0].total.files == 5


def test_nothing_is_counted_where_nothing_came(database: Database):
    assert database.statistics.count_days(60) == 0
    assert told(database).total.nodes == 0


def anew(database: Database) -> tuple[Statistics, Statistics, Statistics]:
    """Ask for the same three again, as another process would."""
    statistics_book._known.clear()
    return told(database), told(database, user="ann"), told(database, until=FIRST)


def test_what_was_counted_a_moment_ago_is_remembered(filled: Database):
    before = told(filled)
    with filled.connection() as connection:
        connection.execute("UPDATE physical_content SET file_size_bytes = 1")
    assert told(filled) == before
    assert told(filled, type="image").total.size_bytes == 4, "what is asked anew is counted anew"
