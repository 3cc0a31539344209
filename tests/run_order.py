"""The order of a run with several processes: it owns which tests begin early, and nothing else.

Each process starts with its share of the tests that take longest and goes on with a part of the
tree, so that what a module's tests share is made by few of them; who has nothing left takes from
the others. Times that are out of date cost nothing but time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

SECONDS = {
    "test_demo.py::test_the_whole_story_twice": 43,
    "test_crash.py::test_kill_at_any_moment": 40,
    "test_ingest.py::test_killed_at_every_barrier_and_run_again": 36,
    "test_power_cut.py::test_power_cut_at_any_moment": 33,
    "test_cli.py::test_interrupt_detaches": 31,
    "test_faults_processes.py::test_disk_processes_stopped_while_an_export_runs": 25,
    "test_power_cut_purge.py::test_power_cut_in_purges_and_compactions": 25,
    "test_demo.py::test_real_filesystems": 24,
    "test_cli_run.py::test_from_nothing_to_a_file_and_back": 22,
    "test_layout_huggingface.py": 20,
    "test_sql_backup_pgbackrest.py::test_a_system_service": 20,
    "test_faults_processes.py::test_a_disk_process_stopped_before_a_job_with_much_to_ask": 20,
    "test_cli.py::test_care_commands_answer": 19,
    "test_compact.py::test_a_disk_that_vanishes_in_the_middle": 18,
    "test_jobs_chaos.py": 15,
    "test_power_cut_each.py::test_power_cut_in_each_operation": 14,
    "test_action_chaos.py": 15,
    "test_compact.py::test_garbage_goes_and_what_lives_stays": 14,
    "test_calibration_truth.py": 14,
    "test_growth_bench.py::test_a_tiny_store_grows_and_is_measured": 13,
    "test_sql_api.py::test_schemathesis_finds_nothing": 13,
    "test_rebalance.py::test_kill_9_during_a_rebalance": 12,
    "test_purge_race.py::test_whatever_was_acknowledged_is_there": 12,
    "test_balance.py::test_a_new_disk_is_filled_to_the_level": 12,
    "test_disks_bench.py": 11,
    "test_power_cut_flush.py::test_power_cut_at_every_flush": 11,
    "test_disk_health.py::test_a_process_that_hangs_is_a_stall": 11,
    "test_sql_restore.py::test_in_place": 10,
    "test_sql_restore.py::test_a_base_backup_of_a_former_version": 10,
}
"""What takes ten seconds or more on a quiet machine, by the beginning of its name."""
SECONDS_LONG_FORM = {**SECONDS, "test_power_cut_flush.py::test_power_cut_at_every_flush": 1800}
"""The same in the long form, whose other tests are longer by their number."""


def spread(
    items: list[pytest.Item], processes: int, seconds: Mapping[str, float] = SECONDS
) -> None:
    """Sort the tests so that an even share of the long ones is first in each process's part."""
    if processes < 2:
        return
    found = [(_seconds(item.nodeid, seconds), item) for item in items]
    # Sorting is stable: every process of a run gets the same order.
    longest = sorted((one for one in found if one[0]), key=lambda one: -one[0])
    shares: list[list[pytest.Item]] = [[] for _ in range(processes)]
    loads = [0.0] * processes
    for length_s, item in longest:
        place = loads.index(min(loads))
        shares[place].append(item)
        loads[place] += length_s
    rest = [item for length_s, item in found if not length_s]
    items[:] = _join(shares, rest, len(items))


def _join(
    shares: Sequence[list[pytest.Item]], rest: list[pytest.Item], total: int
) -> list[pytest.Item]:
    """Return all tests in parts of equal length, as they are given out, each begun by a share."""
    ordered: list[pytest.Item] = []
    taken = 0
    for place, share in enumerate(shares):
        length = (total - len(ordered)) // (len(shares) - place)
        count = max(0, length - len(share))
        ordered += share + rest[taken : taken + count]
        taken += count
    return ordered + rest[taken:]


def _seconds(nodeid: str, seconds: Mapping[str, float]) -> float:
    name = nodeid.rpartition("/")[2]
    return next((length_s for begin, length_s in seconds.items() if name.startswith(begin)), 0.0)
