"""What the keeper looks at: it owns the list of duties, each of which lives in its own module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.scheduler.advance import LOOK_EVERY_S, Advance
from jobs.scheduler.alert_duties import schedule_and_alert_duties
from jobs.scheduler.gpu_wake import watch_gpu
from jobs.scheduler.keeper import TURN_S, Duty, own_duties
from jobs.scheduler.supervise import revive

if TYPE_CHECKING:
    from jobs.core.config import JobsConfig

GPU_EVERY_S = 5.0
REVIVE_EVERY_S = 5.0
ADVANCE_TURN_S = 600.0
COMMANDS_MAX = 1
"""Of a GPU machine, in one look at it."""


def all_duties(config: JobsConfig) -> list[Duty]:
    """Return all duties of a keeper with this configuration."""
    # Shared: each keeper looks after its own machine, the database or not.
    duties = [*own_duties(), Duty("revive", REVIVE_EVERY_S, revive, shared=True, apart=True)]
    duties += schedule_and_alert_duties()
    duties.append(Duty("pipelines", LOOK_EVERY_S, Advance(), apart=True, turn_s=ADVANCE_TURN_S))
    if config.gpu.wake_command:
        turn_s = COMMANDS_MAX * config.gpu.command_timeout_s + TURN_S
        duties.append(Duty("gpu", GPU_EVERY_S, watch_gpu, apart=True, turn_s=turn_s))
    return duties
