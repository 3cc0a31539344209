"""Kills at seeded random moments: whatever dies, every run ends exactly once."""

from __future__ import annotations

import random
import time

import pytest
from jobs_harness import Yard, kill, kill_found

from base.processes import process
from jobs.core.marks import scheduler_mark, worker_mark
from jobs.queues import redis_server
from jobs.scheduler import supervise

WORKERS = ("one", "two")
VICTIMS = ("worker", "horse", "both", "redis", "emptied", "scheduler", "database")


def strike(yard: Yard, chance: random.Random) -> str:
    """Kill something and start again what does not come back by itself."""
    victim, name = chance.choice(VICTIMS), chance.choice(WORKERS)
    if victim == "worker":
        kill_found(lambda: yard.worker_pid(name))
    elif victim == "horse":
        for horse in yard.horses(name):
            kill(horse)
    elif victim == "both":
        process.kill_session(worker_mark(yard.config, name))
    elif victim == "redis":
        kill_found(lambda: redis_server.find(yard.config))
    elif victim == "emptied":
        if redis_server.answers(yard.config):
            redis_server.connect(yard.config).flushall()
    elif victim == "scheduler":
        kill_found(lambda: process.find(scheduler_mark(yard.config)))
    else:
        # As a crash of the server does: every connection of this database is cut.
        with yard.database.connection() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    return f"{victim} {name}"


def everything_up(yard: Yard) -> None:
    """What systemd, or `up`, does all the time."""
    yard.start_redis()
    yard.start_scheduler()
    for name in WORKERS:
        if not yard.worker_pid(name):
            supervise.start_worker(
                yard.config, yard.config_path, supervise.WantedWorker(name, yard.config.queues)
            )


@pytest.mark.seconds(15)
def test_every_run_ends_exactly_once_whatever_is_killed(yard: Yard, request: pytest.FixtureRequest):
    kills = request.config.getoption("--jobs-kills")
    seed = request.config.getoption("--jobs-seed") or str(random.randrange(10**9))
    print(f"replay with --jobs-seed {seed} --jobs-kills {kills}")
    chance = random.Random(seed)
    everything_up(yard)
    runs = [yard.start(parts=4, tag="first").run_id]
    told: list[str] = []
    for number in range(kills):
        time.sleep(chance.random() * 0.6)  # The moment is the point of this test.
        told.append(strike(yard, chance))
        runs.append(yard.start(parts=chance.randrange(1, 5), tag=str(number)).run_id)
        everything_up(yard)
    for run_id in runs:
        run = yard.wait(run_id, "done", "partial", "failed", "cancelled")
        assert run.state == "done", f"seed {seed}: {told}\n{yard.story(run_id)}"
        yard.check_done_once(run_id)
    with yard.database.connection() as connection:
        effects = connection.execute(
            "SELECT subject, count(*) FROM event WHERE kind = 'trial' GROUP BY subject"
        ).fetchall()
        parts = connection.execute("SELECT count(*) FROM run_task WHERE part > 0").fetchone()
    assert all(count == 1 for _, count in effects) and len(effects) * 2 == parts[0]
