"""Steps of tests of runs: it owns how a test plays people, workers and a workflow of parts."""

from __future__ import annotations

from sql import Claim, Database, NewTask, Outcome, Successors

DONE = Outcome(state="done")
PLAN = NewTask(step="plan", queue="io")
QUEUES = ("io", "cpu", "gpu", "default")


def nothing(claim: Claim, outcome: Outcome) -> Successors:
    return Successors()


def start(database: Database, first: NewTask = PLAN, key: str = "k", **options) -> int:
    run, created = database.runs.start_run("test", {"x": 1}, first, run_key=key, **options)
    assert created
    return run.run_id


def task_ids(database: Database, run_id: int) -> dict[tuple[str, int], int]:
    tasks = database.runs.show(run_id).tasks
    return {(task.step, task.part): task.task_id for task in tasks}


def states(database: Database, run_id: int) -> dict[tuple[str, int], str]:
    return {(task.step, task.part): task.state for task in database.runs.show(run_id).tasks}


def take(database: Database, run_id: int, step: str, part: int = 0) -> Claim:
    claim = database.runs.claim(task_ids(database, run_id)[step, part], "w")
    assert claim is not None
    return claim


def end(database: Database, claim: Claim, outcome: Outcome = DONE, following=nothing) -> int:
    return database.runs.finish(claim.task_id, claim.token, outcome, following)


def run_state(database: Database, run_id: int) -> str:
    return database.runs.run(run_id).state


def events(database: Database) -> list[str]:
    return [event.kind for event in reversed(database.events.events())]


def sql(database: Database, statement: str, *values) -> None:
    with database.connection() as connection:
        connection.execute(statement, values or None)


FINISH = NewTask(step="finish")


def parts(count: int):
    """Plan makes `count` parts of one step each, then finish."""

    def following(claim: Claim, outcome: Outcome) -> Successors:
        if claim.step == "finish":
            return Successors()
        if outcome.state not in ("done", "partial"):
            return Successors(rescue=FINISH)
        numbers = range(1, count + 1) if claim.step == "plan" else ()
        tasks = tuple(NewTask(step="work", part=number) for number in numbers)
        return Successors(next_tasks=tasks, barrier=FINISH, rescue=FINISH)

    return following


def planned(database: Database, count: int = 2) -> int:
    run_id = start(database)
    end(database, take(database, run_id, "plan"), following=parts(count))
    return run_id
