"""Waking and putting to sleep a GPU machine: it owns when its commands are run.

    asleep --tasks wait--> waking (wake command) --health command says yes--> ready
    ready --idle for idle_s, or the health command says no--> asleep (sleep command)

Without a wake command people open the gate themselves, and nothing here closes it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from base.logging.ids import about
from base.processes.run_command import run_command

if TYPE_CHECKING:
    from jobs.core.config import GpuConfig
    from jobs.scheduler.periodic_task import Watch
    from sql import GpuGate

OUTPUT_SHOWN_MAX = 300

_log = logging.getLogger(__name__)


def watch_gpu(watch: Watch) -> None:
    """Look at the GPU machine once and do what is to be done."""
    gpu, host, runs = watch.config.gpu, watch.config.gpu_host, watch.database.runs
    if not gpu.wake_command:
        return
    gate = next((gate for gate in runs.gpus() if gate.host == host), None)
    waiting, busy = runs.gpu_wanted()
    state = gate.state if gate else "asleep"
    if state == "asleep" and waiting and not _woken_in_vain(gate, gpu):
        problem = _run(gpu.wake_command, gpu)
        runs.set_gpu(host, "waking", problem)
    elif state == "waking" and gate is not None:
        _wait_for(watch, gate)
    elif state == "ready" and gate is not None:
        _watch_ready(watch, gate, busy=busy + waiting > 0)


def _wait_for(watch: Watch, gate: GpuGate) -> None:
    gpu, host, runs = watch.config.gpu, watch.config.gpu_host, watch.database.runs
    problem = _run(gpu.health_command, gpu)
    if not problem:
        runs.set_gpu(host, "ready", "it answers")
        watch.deliverer.push_due(watch.database)
    elif _age_s(gate.since) > gpu.wake_timeout_s:
        reason = f"it did not wake within {gpu.wake_timeout_s:g} s: {problem}"
        runs.set_gpu(host, "asleep", reason)
        watch.database.events.add("gpu.not_woken", f"GPU machine {host}", {"reason": reason})


def _watch_ready(watch: Watch, gate: GpuGate, *, busy: bool) -> None:
    gpu, host, runs = watch.config.gpu, watch.config.gpu_host, watch.database.runs
    if not busy and _age_s(gate.last_busy) > gpu.idle_s:
        # The gate first: nothing is sent to a machine that is going to sleep.
        runs.set_gpu(host, "asleep", "it was idle")
        if runs.gpu_wanted()[1]:
            # A task began while we looked; a closed gate lets no other begin.
            runs.set_gpu(host, "ready", "a task had just begun")
            return
        problem = _run(gpu.sleep_command, gpu)
        if problem:
            _log.warning(
                "the GPU machine %s was not put to sleep: %s",
                host,
                problem,
                extra=about("gpu.awake"),
            )
    elif gpu.health_command and (problem := _run(gpu.health_command, gpu)):
        runs.set_gpu(host, "asleep", f"it does not answer: {problem}")


def _woken_in_vain(gate: GpuGate | None, gpu: GpuConfig) -> bool:
    """Tell whether it has just failed to wake: then it is left alone for as long again."""
    return (
        gate is not None
        and (gate.reason or "").startswith("it did not wake")
        and _age_s(gate.since) < gpu.wake_timeout_s
    )


def _age_s(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()


def _run(command: Sequence[str], gpu: GpuConfig) -> str:
    """Run a command; returns '' or what went wrong. An empty command is never wrong."""
    if not command:
        return ""
    ended = run_command(command, gpu.command_timeout_s, said_bytes_max=OUTPUT_SHOWN_MAX)
    if ended.code == 0:
        return ""
    if ended.code is None:
        return f"{command[0]} {ended.problem}"
    text = ended.said.decode("utf-8", "backslashreplace").strip()
    return f"{command[0]} ended with {ended.code} {text}".strip()
