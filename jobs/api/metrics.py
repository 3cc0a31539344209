"""The figures of runs, queues and GPU machines for Prometheus, as the database knows them.

Workers are forked for every task and end with it: what they counted would end with them.
"""

from __future__ import annotations

from typing import get_args

from base.metrics import Metric, gauges
from sql import Database, RunState

GPU_STATES = ("asleep", "waking", "ready")
QUEUE_LANE = ("queue", "lane")


def run_metrics(database: Database) -> list[Metric]:
    """Return the figures; blocks."""
    counts = database.runs.run_counts()
    runs = gauges("runs", "Runs of workflows, all that were ever started.", "state")
    for state in get_args(RunState):
        runs.add_metric([state], counts.get(state, 0))
    tasks = gauges("tasks", "Tasks that have not ended.", "queue", "state")
    limits = gauges("queue_tasks_max", "How many tasks of a queue may run at once.", "queue")
    closed = gauges("queue_closed", "1 where a queue is paused or drained.", "queue")
    waited = gauges("queue_wait_p95_seconds", "Wait in the queue, of the last hour.", *QUEUE_LANE)
    worked = gauges("queue_work_p95_seconds", "From begin to end, of the last hour.", *QUEUE_LANE)
    waiting = gauges("queue_waits_seconds", "How long the next task has waited.", *QUEUE_LANE)
    queues = database.runs.queues()
    for times in database.runs.lane_times([queue.queue for queue in queues]):
        labels = [times.queue, times.lane]
        if times.wait_p95_s is not None:
            waited.add_metric(labels, times.wait_p95_s)
        if times.work_p95_s is not None:
            worked.add_metric(labels, times.work_p95_s)
        waiting.add_metric(labels, times.waits_s)
    for queue in queues:
        for state in ("queued", "running", "waiting"):
            tasks.add_metric([queue.queue, state], getattr(queue, state))
        if queue.running_max is not None:
            limits.add_metric([queue.queue], queue.running_max)
        closed.add_metric([queue.queue], queue.paused or queue.draining)
    machines = gauges("gpu_state", "1 for the state that a GPU machine is in.", "host", "state")
    for gate in database.runs.gpus():
        for state in GPU_STATES:
            machines.add_metric([gate.host, state], gate.state == state)
    return [runs, tasks, limits, closed, machines, waited, worked, waiting]
