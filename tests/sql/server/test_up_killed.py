"""The first `up` after a kill works, whatever of the database was killed, and in which moment.

`--up-cycles N` sets the number of kills, `--crash-seed S` replays a run.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator

import psycopg
import pytest
from command import drystone
from store_harness import Store, with_few_services

from fsd.cli.daemons import daemon_process
from sql import load_config
from sql.core.programs import server_account
from sql.database.database import place_of
from sql.server import server

KILLS = ("postmaster", "server", "child", "all", "stale lock")
ROWS_MAX = 60_000


@pytest.mark.fault
@pytest.mark.timeout(0)
def test_the_first_up_after_a_kill_works(store, pytestconfig):
    seed = pytestconfig.getoption("--crash-seed") or str(time.time_ns())
    choices = random.Random(f"up {seed}")
    made: Store = store(started=False)
    with_few_services(made.root)
    drystone("up", "--no-mount", "--config", made.config_path)
    place = place_of(load_config(made.config_path))
    rows = 0
    with psycopg.connect(server.dsn(place)) as connection:
        connection.execute("CREATE TABLE kept (number bigint)")
    for cycle in range(pytestconfig.getoption("--up-cycles")):
        kill = choices.choice(KILLS)
        more = choices.randrange(ROWS_MAX)
        told = f"--crash-seed {seed}: cycle {cycle}, {kill}"
        with psycopg.connect(server.dsn(place)) as connection:
            connection.execute("INSERT INTO kept SELECT generate_series(1, %s)", [more])
        rows += more
        with _killed(kill, made, place, choices):
            time.sleep(choices.choice((0.0, 0.0, 0.05, 0.5)))
            # The first one; whoever is not up after it would need a person.
            up = drystone("up", "--no-mount", "--config", made.config_path)
        assert b"Traceback" not in up.stderr, (told, up)
        found = server.find(place)
        assert found is not None and found.ready, (told, up)
        with psycopg.connect(server.dsn(place)) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (rows,), told
        assert made.client.health().state in ("ok", "degraded"), told


@contextlib.contextmanager
def _killed(kill: str, made: Store, place: server.Place, choices: random.Random) -> Iterator[None]:
    """Kill with SIGKILL; nothing is waited for but the processes that were killed themselves."""
    found = server.find(place)
    assert found is not None
    children = _children(found.pid)
    lock = os.path.join(found.socket_folder, ".s.PGSQL.5432.lock")
    victims = {
        "postmaster": [found.pid],
        "server": [found.pid, *children],
        "child": [choices.choice(children)],
        "all": [found.pid, *children, *_engine(made)],
        "stale lock": [found.pid],
    }[kill]
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if kill != "stale lock":
        yield
        return
    # Its number is another process's by now, of the server's own account.
    options = {"user": server_account().uid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], **options) as somebody:
        try:
            _give_lock_to(lock, somebody.pid)
            yield
        finally:
            somebody.kill()


def _give_lock_to(lock: str, pid: int) -> None:
    with open(lock, encoding="utf-8") as file:
        lines = file.read().splitlines()
    with open(lock, "w", encoding="utf-8") as file:
        file.write("\n".join([str(pid), *lines[1:]]) + "\n")


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(one) for one in file.read().split()]


def _engine(made: Store) -> list[int]:
    mark = daemon_process.find(os.path.join(made.config.run_dir, "engine.pid"))
    return [] if mark is None else [mark.pid]
