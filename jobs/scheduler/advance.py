"""Begins what comes next in pipelines with `advance: auto`, stage by stage of each enrolled batch.

A stage is begun once: what failed, was cancelled or left nodes undone waits for a person, and the
stage after it begins when it is done after all. When a batch is through, what comes to be open in
it later (nodes that were hidden until then) is begun again, once. The run is an ordinary one, so
gates hold.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from adapters.actions import declared_pipelines, next_stage
from jobs.runs.control import RunControl
from sql import DatabaseUnavailableError

if TYPE_CHECKING:
    from adapters.actions import NextStage
    from jobs.scheduler.periodic_task import Watch

LOOK_EVERY_S = 5.0
LOOK_PAUSE_RATIO = 20.0
"""Whether ten million nodes are done is no question for every few seconds: of the time, a
twentieth is spent on asking."""
THROUGH_LOOK_EVERY_S = 3600.0
"""Between two looks at a batch that is through: nodes that were black-listed may be shown again."""


class Advance:
    """The periodic task; it remembers when to look again at each batch that is in a pipeline."""

    def __init__(self) -> None:
        self._look_at_s: dict[tuple[str, int], float] = {}

    def __call__(self, watch: Watch) -> None:
        """Begin every stage whose turn it is."""
        pipelines = declared_pipelines(watch.database).values()
        names = [pipeline.name for pipeline in pipelines if pipeline.advance == "auto"]
        begun = watch.database.pipelines.begun(names)
        present = {(name, action_batch_id) for name, action_batch_id, _ in begun}
        self._look_at_s = {key: at for key, at in self._look_at_s.items() if key in present}
        for name, action_batch_id, begun_stage in begun:
            began_s = time.monotonic()
            if began_s < self._look_at_s.get((name, action_batch_id), 0.0):
                continue
            coming = next_stage(watch.database, action_batch_id, name)
            took_s = time.monotonic() - began_s
            if coming and coming[0].stage_id > begun_stage:
                _begin(watch, action_batch_id, coming[0])
            elif begun_stage and not coming:
                watch.database.pipelines.set_begun(name, action_batch_id, 0)
            every_s = LOOK_EVERY_S if coming else THROUGH_LOOK_EVERY_S
            pause_s = max(every_s, LOOK_PAUSE_RATIO * took_s)
            self._look_at_s[name, action_batch_id] = time.monotonic() + pause_s


def _begin(watch: Watch, action_batch_id: int, stage: NextStage) -> None:
    """Start a stage; what refuses it is told once for each reason, and it is tried again."""
    control = RunControl(watch.config_path, watch.database, watch.config)
    request = {"pipeline": stage.pipeline, "action_batch_id": action_batch_id}
    by = f"pipeline {stage.pipeline}"
    try:
        control.start("ua_2", request, requested_by=by)
    except DatabaseUnavailableError:
        raise
    except Exception as error:
        # What a workflow prepares may fail in any way; the other batches go on.
        document = {**request, "stage": stage.stage_id, "action": stage.action,
                    "reason": str(error)}  # fmt: skip
        reason = hashlib.sha256(str(error).encode()).hexdigest()[:16]
        key = f"{by} batch {action_batch_id} stage {stage.stage_id} {reason}"
        subject = f"{by}, batch {action_batch_id}"
        watch.database.events.add("pipeline.failed", subject, document, key)
        return
    # Killed in front of this line, the scheduler asks again, and gets the run that is going on.
    watch.database.pipelines.set_begun(stage.pipeline, action_batch_id, stage.stage_id)
