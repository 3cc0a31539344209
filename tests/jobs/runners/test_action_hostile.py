"""UA_2 with programs that misbehave: what is good is taken, nothing else changes anything."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from itertools import count

import pytest
from action_house import ActionYard, lasting_yard
from far_tasks import app_over, local
from hostile_programs import CASES, CONTRACT, Case
from jobs_harness import kill, small_disk, until
from served_app import Served
from store_harness import write_files
from storm_actions import leftovers

from adapters.actions import contracts, declare_contract, registered_contract
from base.errors import UsageError
from jobs.remote.http import RemoteApi
from jobs.remote.state import RemoteTaskState
from sql import Outcome

OUTSIDE = {"secret.txt": b"secret", "folder/kept.txt": b"kept"}
_numbers = count(2000)


@pytest.fixture(scope="module")
def yard(database_server: str, database_template: str) -> Iterator[ActionYard]:
    """One store with six pictures, a worker and a scheduler, for all cases."""
    with lasting_yard(database_server, database_template, stage_bytes=1_000_000_000) as made:
        yield made


@pytest.mark.parametrize("name", CASES)
def test_a_program_that_misbehaves(yard, tmp_path, name):
    case = CASES[name]
    outside = write_files(str(tmp_path / "outside"), OUTSIDE)
    action = _add(yard, case, outside)
    run_id = yard.act(action)
    yard.hurry(run_id)
    told = _told(yard, run_id)
    assert yard.state(run_id) == case.state, yard.story(run_id)
    assert case.said in told, told
    outcomes = yard.rows(
        "SELECT outcome, count(*) FROM action_node JOIN action_event ON id = action_event_id "
        f"JOIN action USING (action_id) WHERE name = '{action}' GROUP BY 1"
    )
    assert dict(outcomes) == case.outcomes, told
    assert yard.rows(f"SELECT count(*) FROM result_{action}") == [(case.results,)], told
    made = yard.rows(
        "SELECT count(*) FROM edge JOIN relationship USING (relationship_id) JOIN action USING "
        f"(action_id) WHERE name = '{action}'"
    )
    assert made == [(case.children,)], told
    assert {path: _read(outside, path) for path in OUTSIDE} == OUTSIDE
    assert sum(len(names) for _, _, names in os.walk(outside)) == len(OUTSIDE)
    until(lambda: leftovers(yard) == [], lambda: f"{leftovers(yard)}\n{yard.story(run_id)}")
    ((status,),) = yard.rows(
        "SELECT status FROM action_event JOIN action_event_detail ON id = action_event_id "
        f"WHERE run_reference = 'run:{run_id}'"
    )
    assert status == ("done" if case.state == "done" else "failed")
    assert _processes_of(outside) == []


def _add(yard: ActionYard, case: Case, outside: str) -> str:
    number = next(_numbers)
    action = f"hostile_{number}"
    contract = CONTRACT.format(
        number=number, name=action, **{"timeout": "60", "gate": "none", **case.settings}
    )
    write_files(
        os.path.join(yard.root, "actions", action),
        {
            "contract.yaml": contract.encode(),
            "program.sh": case.program.replace("$OUTSIDE", outside).encode(),
        },
    )
    return action


def _told(yard: ActionYard, run_id: int) -> str:
    """Return all that people can read of a run."""
    aside = yard.rows(
        "SELECT path, record_number, aside.reason FROM quarantine AS aside "
        "JOIN action_event_detail USING (action_event_id) "
        f"WHERE run_reference = 'run:{run_id}' ORDER BY 1, 2"
    )
    lines = [f"{path}, record {number}: {reason}" for path, number, reason in aside]
    return "\n".join([yard.database.runs.show(run_id).model_dump_json(), *lines])


def _read(folder: str, path: str) -> bytes:
    with open(os.path.join(folder, path), "rb") as file:
        return file.read()


def _processes_of(mark: str) -> list[str]:
    """Return what a program left behind: every one has the test's own folder in its words."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue
        if mark.encode() in words:
            found.append(words.decode(errors="replace"))
    return found


def test_a_program_that_fills_its_temporary_folder_fails_in_the_end(yard):
    """It had room and used it up: begun again when there is some, it would come back for ever."""
    with open(yard.config_path, encoding="utf-8") as file:
        text = file.read()
    program = 'head -c 40000000 /dev/zero > "$TMPDIR/scratch"; sleep 60'
    action = _add(yard, CASES["good"]._replace(program=program), "")
    try:
        with small_disk(yard.config.log_dir, "size=24m"):
            with open(yard.config_path, "w", encoding="utf-8") as file:
                file.write(text.replace("free_bytes_min = 0", f"free_bytes_min = {8 << 20}"))
            run_id = yard.act(action)
            yard.hurry(run_id)
    finally:
        with open(yard.config_path, "w", encoding="utf-8") as file:
            file.write(text)
    assert yard.state(run_id) == "failed", yard.story(run_id)
    assert "bytes are free where it writes" in _told(yard, run_id)
    until(lambda: leftovers(yard) == [], lambda: yard.story(run_id))


# ---- What happens to contracts and nodes meanwhile -----------------------------------------------


def _waiting_for_gpu(yard: ActionYard) -> tuple[str, int]:
    """Start a run that is staged and waits for its machine; returns action and run."""
    yard.control.gpu_done()
    action = _add(yard, CASES["good"]._replace(settings={"gate": "gpu_ready"}), "")
    run_id = yard.act(action)
    until(lambda: yard.task_states(run_id).get(("run", 1)) == "waiting_gpu_ready",
          lambda: yard.story(run_id))  # fmt: skip
    return action, run_id


def test_a_contract_whose_folder_vanished(yard):
    action, run_id = _waiting_for_gpu(yard)
    assert leftovers(yard)
    shutil.rmtree(os.path.join(yard.root, "actions", action))
    yard.control.gpu_ready()
    yard.hurry(run_id)
    assert "there is no action" in _told(yard, run_id)
    # The end needs no contract file: its room is free, and its event has an end.
    until(lambda: leftovers(yard) == [], lambda: yard.story(run_id))
    assert yard.rows(
        "SELECT status, end_time IS NOT NULL FROM action_event JOIN action_event_detail "
        f"ON id = action_event_id WHERE run_reference = 'run:{run_id}'"
    ) == [("failed", True)]


@pytest.mark.parametrize("hidden", [(1, 2), (1, 2, 3, 4, 5, 6)])
def test_nodes_that_are_hidden_between_seal_and_stage(yard, hidden):
    yard.control.set_queue("io", paused=True)
    action = _add(yard, CASES["good"], "")
    batch = yard.database.action_context.make_sealed_batch(range(1, 7))
    places = ", ".join(map(str, hidden))
    half = len(hidden) // 2
    try:
        yard.rows_change(
            f"UPDATE physical_content SET is_delete = node_id <= {half}, "
            f"in_black_list = node_id > {half} WHERE node_id IN ({places})"
        )
        run_id = yard.act(action, action_batch_id=batch)
        yard.control.set_queue("io", paused=False)
        yard.hurry(run_id)
    finally:
        yard.rows_change("UPDATE physical_content SET is_delete = false, in_black_list = false")
        yard.control.set_queue("io", paused=False)
    outcomes = yard.rows(
        "SELECT node_id, outcome, reason FROM action_node JOIN action_event_detail USING "
        f"(action_event_id) WHERE run_reference = 'run:{run_id}' ORDER BY 1"
    )
    reasons = {n: "deleted" if n <= half else "black-listed" for n in hidden}
    assert outcomes == [
        (n, "missing", reasons[n]) if n in hidden else (n, "done", None) for n in range(1, 7)
    ], yard.story(run_id)
    assert yard.state(run_id) in ("partial", "failed")
    until(lambda: leftovers(yard) == [], lambda: yard.story(run_id))


def test_many_people_who_start_the_same_at_once(yard):
    action = _add(yard, CASES["good"], "")
    batch = yard.database.action_context.make_sealed_batch(range(1, 7))
    found: list[int] = []
    together = threading.Barrier(6)

    def start(number: int) -> None:
        together.wait()
        asked = {} if number % 2 else {"action_batch_id": batch}
        found.append(yard.act(action, **asked))

    people = [threading.Thread(target=start, args=[number]) for number in range(6)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    # By the selector, and by a batch of the same nodes: two requests, and one piece of work.
    assert len(set(found)) <= 3
    for run_id in found:
        yard.hurry(run_id)
        assert yard.state(run_id) == "done", yard.story(run_id)
    assert yard.rows(f"SELECT count(*), count(DISTINCT node_id) FROM result_{action}") == [(6, 6)]
    until(lambda: leftovers(yard) == [], lambda: str(leftovers(yard)))


def test_every_shipped_contract_is_the_same_when_it_comes_out_of_the_database(yard):
    for loaded in contracts(None).values():
        declare_contract(yard.database, loaded)
        again = registered_contract(yard.database, loaded.digest)
        assert again.contract == loaded.contract, loaded.contract.name


# ---- What workers elsewhere may say --------------------------------------------------------------


def test_a_worker_elsewhere_cannot_name_a_folder_of_this_machine(yard, tmp_path):
    outside = write_files(str(tmp_path / "outside"), {"1-secret.txt": b"secret"})
    _, run_id = _waiting_for_gpu(yard)
    kill(yard.worker_pid())
    until(lambda: not yard.worker_pid())
    served = Served(app_over(yard.database, local(yard.database, yard.config.log_dir, [])))
    try:
        yard.control.gpu_ready()
        far = RemoteTaskState(RemoteApi(served.address))
        claim = far.claim(_task_of(yard, run_id, "run"), "w1")
        assert claim is not None
        forged = {**claim.spec["staged"], "output_root": outside}
        lie = Outcome(state="done", pass_on={"exit_state": "done", "staged": forged})
        with pytest.raises(UsageError, match="does not declare that it passes on 'staged'"):
            far.finish(claim.task_id, claim.token, lie)
        far.finish(
            claim.task_id, claim.token, Outcome(state="done", pass_on={"exit_state": "done"})
        )
        # Whoever gets something into a spec all the same: outputs are read where they were staged.
        with yard.database.connection() as connection:
            connection.execute(
                "UPDATE run_task SET spec = %s WHERE task_id = %s",
                [json.dumps({**claim.spec, **lie.pass_on}), _task_of(yard, run_id, "apply")],
            )
    finally:
        served.stop()
        yard.start_worker()
    yard.hurry(run_id)
    assert yard.state(run_id) == "partial", yard.story(run_id)
    assert yard.rows(
        "SELECT DISTINCT outcome FROM action_node JOIN action_event_detail USING (action_event_id) "
        f"WHERE run_reference = 'run:{run_id}'"
    ) == [("missing",)]
    until(lambda: leftovers(yard) == [], lambda: yard.story(run_id))


def _task_of(yard: ActionYard, run_id: int, step: str) -> int:
    (task,) = [one for one in yard.database.runs.show(run_id).tasks if one.step == step]
    return task.task_id
