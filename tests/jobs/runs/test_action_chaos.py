"""UA_2 where everything dies: each batch ends exactly once in the database, and 3C is empty."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import time
from collections import Counter
from collections.abc import Iterator

import database_harness
import pytest
from action_house import ActionYard, make_action_yard
from jobs_harness import kill, kill_found, until
from store_harness import with_quota
from storm_actions import PARTS, PICTURE_BYTES, PICTURES, add_pair, left_by, leftovers

from base.processes import process
from fsd.cli.daemons import daemon
from jobs import execute
from jobs.core.marks import scheduler_mark, worker_mark
from jobs.queues import redis_server
from jobs.runs.local_state import LocalTaskState, following
from jobs.scheduler import supervise
from sql.server import server

WORKERS = ("one", "two")
VICTIMS = ("worker", "horse", "both", "redis", "emptied", "scheduler", "database", "engine")
KILLS_PER_PAIR = 2
RETRIES_MAX = 3
"""So often a run may be retried, each time because all attempts of a task were killed."""
PATIENCE_S = 120.0
PATIENCE_PER_KILL_S = 3.0
STAGE_BYTES = 1_000_000_000
"""Room for some fifteen parts at a time: in the long form others wait for it."""


@pytest.fixture
def house(store, short_tmp: str) -> Iterator[tuple[ActionYard, server.Place]]:
    """A store with pictures for two parts, and a database server of its own to kill."""
    place = database_harness.place_in(os.path.join(short_tmp, "pg"))
    # What it said was written outlives a kill, as everywhere else.
    settings = {**place.settings, "synchronous_commit": "on"}
    place = dataclasses.replace(place, settings=settings)
    server.start(place)
    with database_harness.new_database(server.dsn(place, "postgres")) as url:
        made = store(started=False)
        # With a quota, what is given back is measured at once.
        with_quota(made.root, stage_bytes=STAGE_BYTES)
        made.start()
        yard = make_action_yard(made, url, PICTURES, PICTURE_BYTES)
        try:
            yield yard, place
        finally:
            server.start(place)
            yard.stop()
            yard.database.close()
    server.stop(place)


@pytest.mark.seconds(15)
def test_every_step_whose_worker_dies_at_its_end_is_done_again_with_one_effect(house):
    yard, _ = house
    calm, storm = add_pair(yard, "calm", 900), add_pair(yard, "dead", 910)
    runs: list[list[int]] = []
    for actions, dies in ((calm, False), (storm, True)):
        runs.append([yard.act(action) for action in actions])
        for run_id in runs[-1]:
            _by_hand(yard, run_id, dies=dies)
    for like, run_id in zip(*runs, strict=True):
        assert yard.state(run_id) == yard.state(like), yard.story(run_id)
        _check_same(left_by(yard, like), left_by(yard, run_id))
    assert leftovers(yard) == []


def _by_hand(yard: ActionYard, run_id: int, *, dies: bool) -> None:
    """Do the tasks of a run in this process; each is first done by a worker that dies with it."""
    state = LocalTaskState(lambda: yard.database, yard.config.log_dir)
    workplace = execute.Workplace(
        yard.config_path, state, "alive", yard.config.log_dir, lambda: yard.database
    )
    runs = yard.database.runs
    while tasks := [task for task in runs.show(run_id).tasks if task.state == "queued"]:
        for task in tasks:
            if dies:
                _die_in(yard, workplace, task.task_id)
                runs.take_back_of("dead", "it is dead", following)
                with yard.database.connection() as connection:
                    connection.execute("UPDATE run_task SET not_before = now()")
            execute.carry_out(workplace, task.task_id)


def _die_in(yard: ActionYard, workplace: execute.Workplace, task_id: int) -> None:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    with contextlib.suppress(BaseException):
        from sql import Database

        database = Database.connect(yard.dsn)

        class Mute(LocalTaskState):
            """Dies where it would say how the task ended."""

            def finish(self, *_told: object) -> None:
                os._exit(0)

        workplace.state = Mute(lambda: database, yard.config.log_dir)
        workplace.worker, workplace.database = "dead", lambda: database
        execute.carry_out(workplace, task_id)
    os._exit(1)


@pytest.mark.seconds(15)
@pytest.mark.fault
@pytest.mark.timeout(4 * 3600)  # The long form.
def test_every_batch_ends_exactly_once_whatever_is_killed(house, request: pytest.FixtureRequest):
    yard, place = house
    kills = request.config.getoption("--jobs-kills")
    seed = request.config.getoption("--jobs-seed") or str(random.randrange(10**9))
    print(f"replay with --jobs-seed {seed} --jobs-kills {kills}")
    chance = random.Random(seed)
    storm = _Storm(yard, place, chance)
    storm.everything_up()
    calm = [yard.act(action) for action in add_pair(yard, "calm", 900)]
    for run_id in calm:
        yard.wait(run_id, "done", "partial")
    runs: list[list[int]] = []
    for number in range(kills):
        if number % KILLS_PER_PAIR == 0:
            names = add_pair(yard, f"p{number:04}", 1000 + 2 * number)
            runs.append(
                [yard.act(names[0]), yard.act(names[1], parameters={"tag": f"{number:04}"})]
            )
        time.sleep(chance.random() * 0.8)  # The moment is the point of this test.
        storm.strike()
        storm.everything_up()
    story = f"seed {seed}: {storm.told}\n"
    storm.wait([run_id for pair in runs for run_id in pair])
    for pair in runs:
        for run_id, like in zip(pair, calm, strict=True):
            _check_same(left_by(yard, like), left_by(yard, run_id), story)
    until(lambda: leftovers(yard) == [], lambda: story + str(leftovers(yard)))


class _Storm:
    """Kills, and starts again what does not come back by itself."""

    def __init__(self, yard: ActionYard, place: server.Place, chance: random.Random) -> None:
        self.yard, self.place, self.chance = yard, place, chance
        self.told: list[str] = []
        self.retries = Counter[int]()

    def strike(self) -> None:
        victim, name = self.chance.choice(VICTIMS), self.chance.choice(WORKERS)
        self.told.append(f"{victim} {name}")
        yard = self.yard
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
            redis_server.connect(yard.config).flushall()
        elif victim == "scheduler":
            kill_found(lambda: process.find(scheduler_mark(yard.config)))
        elif victim == "database":
            running = server.find(self.place)
            assert running is not None
            kill(running.pid)
            until(lambda: server.find(self.place) is None)
        else:
            pid = daemon.status(yard.store.config).engine_pid
            assert pid is not None
            kill(pid)
            until(lambda: daemon.status(yard.store.config).engine_pid != pid)

    def everything_up(self) -> None:
        """What systemd, or `up`, does all the time."""
        yard = self.yard
        server.start(self.place)
        yard.store.start()
        yard.start_redis()
        yard.start_scheduler()
        for name in WORKERS:
            if not yard.worker_pid(name):
                wanted = supervise.WantedWorker(name, yard.config.queues)
                supervise.start_worker(yard.config, yard.config_path, wanted)

    def wait(self, run_ids: list[int]) -> None:
        """Wait for all; a task whose workers were killed as often as it may be tried is retried."""
        open_ids = set(run_ids)

        def has_one_ended() -> bool:
            count = len(open_ids)
            for run_id in sorted(open_ids):
                state = self.yard.state(run_id)
                if state in ("done", "partial"):
                    open_ids.discard(run_id)
                elif state in ("failed", "cancelled"):
                    # Nobody cancels anything here.
                    assert state == "failed" and self._was_killed(run_id), self.story([run_id])
                    self.retries[run_id] += 1
                    assert self.retries[run_id] <= RETRIES_MAX, self.story([run_id])
                    self.told.append(f"run {run_id} retried")
                    self.yard.control.retry(run_id)
            return len(open_ids) < count

        patience_s = PATIENCE_S + PATIENCE_PER_KILL_S * len(self.told)
        while open_ids:
            # A hang is that none ends for so long: beside other work all together take longer.
            until(has_one_ended, lambda: self.story(sorted(open_ids)), patience_s)
        for run_id in run_ids:
            detail = self.yard.database.runs.show(run_id)
            ends = Counter(
                one.task_id for one in detail.attempts if one.outcome in ("done", "partial")
            )
            for task in detail.tasks:
                assert 1 <= ends[task.task_id] <= detail.run.round, self.story([run_id])
            assert all(one.end_time is not None for one in detail.attempts), self.story([run_id])

    def story(self, run_ids: list[int]) -> str:
        lines = [str(self.told)]
        for run_id in run_ids:
            detail = self.yard.database.runs.show(run_id)
            lines.append(f"run {run_id} {detail.run.state} {detail.run.reason}")
            for task in detail.tasks:
                lines.append(
                    f"  {task.step} {task.part} {task.state} {task.attempt} {task.error or ''}"
                )
                lines += [
                    f"    {one.attempt} {one.outcome} {one.reason or ''}"
                    for one in detail.attempts
                    if one.task_id == task.task_id
                ]
        lines.append(str(leftovers(self.yard)))
        return "\n".join([*lines, self.yard.story(run_ids[0])])

    def _was_killed(self, run_id: int) -> bool:
        """Whether tasks failed, and each lost as many workers as it may be tried."""
        detail = self.yard.database.runs.show(run_id)
        lost = Counter(one.task_id for one in detail.attempts if one.outcome == "lost")
        failed = [task for task in detail.tasks if task.state == "failed"]
        return bool(failed) and all(lost[one.task_id] >= one.attempts_max for one in failed)


def _check_same(
    calm: dict[str, list[tuple]], wild: dict[str, list[tuple]], story: str = ""
) -> None:
    """What was disturbed left the same, and each part was taken once."""
    assert len(wild["intents"]) == PARTS, story
    for what in calm.keys() - {"intents"}:
        assert wild[what] == calm[what], f"{what}\n{story}"
