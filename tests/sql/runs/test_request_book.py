"""Requests that carry a key are done once, also when their process is killed at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import psycopg
import pytest
from pydantic import BaseModel

from base.errors import DrystoneError, UsageError
from base.operations.once import ask_once
from base.operations.operation import Caller, operation
from sql import BusyError, Database, RequestsAhead
from sql.core.errors import AnswerLostError, KeyReusedError, StatementError

ONE, OTHER = b"1" * 32, b"2" * 32
KEY = "7b0c2c1e-3a5f"

# Does a request as a server does, and is killed where it is told to be.
CHILD = """
import os, signal, sys
from sql import Database
url, moment = sys.argv[1:]
def die(at):
    if at == moment:
        os.kill(os.getpid(), signal.SIGKILL)
with Database(url) as database:
    assert database.requests.begin("ann", "KEY", "wish.tell", b"1" * 32) == (False, None)
    die("begun")
    with database.requests.marking("ann", "KEY"):
        with database.reading() as connection:
            connection.execute("SELECT 1")
        with database.connection() as connection:
            connection.execute("SELECT 1")
        die("read")
        with database.connection() as connection:
            connection.execute("INSERT INTO wish VALUES (1)")
            die("written")
        die("committed")
    database.requests.finish("ann", "KEY", {"told": 1})
    die("finished")
""".replace("KEY", KEY)


@pytest.fixture
def wishes(database: Database, database_url: str) -> Database:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE wish (wish_id integer)")
    return database


def told(database: Database) -> int:
    with database.reading() as connection:
        row = connection.execute("SELECT count(*) FROM wish").fetchone()
    assert row is not None
    return row[0]


def killed(url: str, moment: str) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD, url, moment], check=False, timeout=60)
    assert child.returncode == -9


# Asks another process, and is killed before it is told to keep the answer.
CHILD_OF_THE_ENGINE = """
import os, signal, sys
from sql import Database, RequestsAhead
url, moment = sys.argv[1:]
with Database(url) as database:
    requests = RequestsAhead(database.requests)
    if moment == "begun":
        requests._book.mark = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    requests.begin("ann", "KEY", "storage.scrub", b"1" * 32)
    os.kill(os.getpid(), signal.SIGKILL)
""".replace("KEY", KEY)


@pytest.mark.fault
def test_what_the_engine_may_have_done_is_never_done_again(database: Database, database_url: str):
    ahead = RequestsAhead(database.requests)
    for moment in ("begun", "asked"):
        child = [sys.executable, "-c", CHILD_OF_THE_ENGINE, database_url, moment]
        assert subprocess.run(child, check=False, timeout=60).returncode == -9
        if moment == "begun":
            # The engine was not asked: the next one does it, and is refused.
            assert ahead.begin("ann", KEY, "storage.scrub", ONE) == (False, None)
            ahead.abandon("ann", KEY)
    for _ in range(2):
        with pytest.raises(AnswerLostError, match="take a new key"):
            ahead.begin("ann", KEY, "storage.scrub", ONE)


class Wish(BaseModel):
    """What is wished for."""


def wished(place: Callable[[], Wish], _caller: Caller, _asked: Wish) -> Wish:
    """Wish."""
    return place()


WISH = operation("wish.make", role="operator", kind="change", route="POST /wish")(wished)


def test_an_engine_that_never_answered_is_not_asked_again_and_one_that_refused_is(
    database: Database,
):
    asked: list[Exception | None] = []

    def place() -> Wish:
        if asked[-1] is not None:
            raise asked[-1]
        return Wish()

    def ask(error: Exception | None, key: str = KEY) -> bool:
        asked.append(error)
        caller = Caller("ann", "operator")
        return ask_once(
            RequestsAhead(database.requests), key, WISH, place, caller, Wish()
        ).is_repeated

    lost, refused = DrystoneError("gone"), UsageError("no")
    lost.is_lost = True
    for _ in range(2):
        with pytest.raises(UsageError, match="no"):
            ask(refused)
    assert [ask(None), ask(None)] == [False, True]
    for number, error in enumerate((lost, ValueError("an answer that is none"))):
        with pytest.raises(type(error)):
            ask(error, f"lost-{number}")
        with pytest.raises(AnswerLostError):
            ask(None, f"lost-{number}")


@pytest.mark.parametrize("moment", ["begun", "read", "written"])
def test_what_was_killed_before_its_commit_is_done_by_the_next(
    wishes: Database, database_url: str, moment: str
):
    killed(database_url, moment)
    assert told(wishes) == 0
    assert wishes.requests.begin("ann", KEY, "wish.tell", ONE) == (False, None)
    # And by one of those who come.
    with pytest.raises(BusyError):
        wishes.requests.begin("ann", KEY, "wish.tell", ONE)


def test_what_was_killed_after_its_commit_is_never_done_again(wishes: Database, database_url: str):
    killed(database_url, "committed")
    assert told(wishes) == 1
    for _ in range(2):
        with pytest.raises(AnswerLostError, match="take a new key"):
            wishes.requests.begin("ann", KEY, "wish.tell", ONE)
    wishes.requests.abandon("ann", KEY)
    with pytest.raises(AnswerLostError):
        wishes.requests.begin("ann", KEY, "wish.tell", ONE)


def test_what_was_finished_is_answered_the_same(wishes: Database, database_url: str):
    killed(database_url, "finished")
    assert wishes.requests.begin("ann", KEY, "wish.tell", ONE) == (True, {"told": 1})
    with pytest.raises(KeyReusedError):
        wishes.requests.begin("ann", KEY, "wish.tell", OTHER)
    with pytest.raises(KeyReusedError):
        wishes.requests.begin("ann", KEY, "wish.else", ONE)
    # Another's key is another key.
    assert wishes.requests.begin("bob", KEY, "wish.tell", OTHER) == (False, None)


def test_of_many_at_once_one_goes_on(wishes: Database):
    came: list[object] = []

    def ask() -> None:
        try:
            came.append(wishes.requests.begin("ann", KEY, "wish.tell", ONE))
        except BusyError:
            came.append("busy")

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, came)) == ["(False, None)", *["busy"] * 5]


def test_what_failed_may_be_asked_again_and_a_day_later_it_is_forgotten(
    wishes: Database, database_url: str
):
    wishes.requests.begin("ann", KEY, "wish.tell", ONE)
    wishes.requests.abandon("ann", KEY)
    assert wishes.requests.begin("ann", KEY, "wish.tell", OTHER) == (False, None)
    wishes.requests.finish("ann", KEY, None)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE request_key SET create_time = now() - interval '25 hours'")
    assert wishes.requests.begin("ann", KEY, "wish.tell", ONE) == (False, None)


@pytest.mark.parametrize("end", ["abandon", "finish"])
def test_what_ended_while_the_database_failed_is_done_by_the_next(
    wishes: Database, database_url: str, end: str
):
    wishes.requests.begin("ann", KEY, "wish.tell", ONE)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE request_key RENAME TO away")
        with pytest.raises(StatementError):
            if end == "abandon":
                wishes.requests.abandon("ann", KEY)
            else:
                wishes.requests.finish("ann", KEY, None)
        connection.execute("ALTER TABLE away RENAME TO request_key")
    # The server lives on, its request does not.
    assert wishes.requests.begin("ann", KEY, "wish.tell", ONE) == (False, None)
    with pytest.raises(BusyError):
        wishes.requests.begin("ann", KEY, "wish.tell", ONE)


def test_a_retry_while_the_first_is_still_asked_for_is_told_to_wait(wishes: Database):
    ahead = RequestsAhead(wishes.requests)
    ahead.begin("ann", KEY, "wish.tell", ONE)
    with pytest.raises(BusyError):
        ahead.begin("ann", KEY, "wish.tell", ONE)
    ahead.abandon("ann", KEY, is_undone=False)
    with pytest.raises(AnswerLostError):
        ahead.begin("ann", KEY, "wish.tell", ONE)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "\u00e4"])
def test_a_key_is_plain(wishes: Database, key: str):
    with pytest.raises(UsageError, match="printable ASCII"):
        wishes.requests.begin("ann", key, "wish.tell", ONE)


def test_a_number_that_is_somebody_elses_by_now_is_no_life(wishes: Database, database_url: str):
    wishes.requests.begin("ann", KEY, "wish.tell", ONE)
    with psycopg.connect(database_url, autocommit=True) as connection:
        holder = f"{os.uname().nodename} {os.getpid()} 1"
        connection.execute("UPDATE request_key SET holder = %s", [holder])
    assert wishes.requests.begin("ann", KEY, "wish.tell", ONE) == (False, None)
