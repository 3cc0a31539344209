"""What a job costs: ours, with claim, log, heartbeat and end in PostgreSQL, beside plain RQ.

    python -m bench.jobs [--jobs 500] [--work-ms 0,10] [--folder DIR]

Both run the same function in forked processes of one worker, over the same embedded Valkey; our
PostgreSQL is the embedded one and syncs every commit. Plain RQ keeps nothing but results in Redis.
Also: runs started per second, two workers, and the time from `gpu ready` to the first running task.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from rq import Queue
from rq.serializers import JSONSerializer

from base.processes import process
from base.processes.process import APPLICATION_ROOT
from bench.jobs import work
from jobs.core.config import JobsConfig, load_jobs_config
from jobs.core.marks import scheduler_mark, worker_mark
from jobs.queues.redis_server import connect, start, stop
from jobs.runs.control import RunControl
from jobs.scheduler.supervise import WantedWorker, start_scheduler, start_worker
from sql import Database, companion

POLL_S = 0.005


def make_config(folder: str) -> str:
    path = os.path.join(folder, "drystone.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'ssd = "{folder}/ssd"\n[store]\nstore_id = "0"\n[[disk]]\npath = "{folder}/d1"\n'
            '[jobs]\nworkflow_modules = ["bench.jobs.work"]\n'
        )
    return path


def plain_rq(config: JobsConfig, jobs: int, work_ms: float) -> float:
    """Return the seconds that one plain RQ worker needs, from the first push to the last end."""
    redis = connect(config)
    queue = Queue("plain", connection=redis, serializer=JSONSerializer)
    arguments = ["-m", "rq.cli", "worker", "plain", "--url", f"unix://{config.socket_path}"]
    arguments += ["--serializer", "rq.serializers.JSONSerializer", "--quiet"]
    worker = subprocess.Popen(
        [sys.executable, *arguments], cwd=APPLICATION_ROOT, stdout=subprocess.DEVNULL
    )
    try:
        warm = queue.enqueue(work.burn, 0.0)
        _until(lambda: warm.get_status(refresh=True) == "finished")
        begun = time.monotonic()
        data = [queue.prepare_data(work.burn, args=(work_ms,)) for _ in range(jobs)]
        made = queue.enqueue_many(data)
        _until(lambda: queue.finished_job_registry.get_job_count(cleanup=False) > jobs)
        assert made
        return time.monotonic() - begun
    finally:
        worker.terminate()
        worker.wait()
        queue.delete(delete_jobs=True)
        redis.flushall()


def ours(database: Database, control: RunControl, jobs: int, work_ms: float) -> float:
    """Return the seconds from the request to the end of a run of so many parts."""
    begun = time.monotonic()
    run, _ = control.start("bench", {"parts": jobs, "work_ms": work_ms})
    _until(lambda: database.runs.run(run.run_id).state == "done")
    return time.monotonic() - begun


def single_runs(database: Database, control: RunControl, jobs: int) -> tuple[float, float]:
    """Return the seconds to ask for so many runs of one task each, and until all are done."""
    begun = time.monotonic()
    for number in range(jobs):
        control.start("bench_one", {"parts": number})
    asked = time.monotonic() - begun
    _until(lambda: set(database.runs.run_counts()) == {"done"})
    return asked, time.monotonic() - begun


def gpu_ready(database: Database, control: RunControl, number: int) -> float:
    """Return the seconds from opening the gate to the first task that runs."""
    run, _ = control.start("bench_gpu", {"parts": number})
    assert database.runs.run(run.run_id).state == "waiting"
    begun = time.monotonic()
    control.gpu_ready()
    _until(lambda: database.runs.show(run.run_id).attempts)
    took = time.monotonic() - begun
    _until(lambda: database.runs.run(run.run_id).state == "done")
    control.gpu_done()
    return took


def _until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(POLL_S)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.jobs", description="What a job costs, beside plain RQ"
    )
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--work-ms", default="0,10")
    parser.add_argument("--folder")
    given = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="ds-", dir=given.folder)
    path = make_config(folder)
    config = load_jobs_config(path)
    companion.start(path)
    start(config)
    try:
        with Database.open(path) as database:
            report = measure(path, config, database, given)
        print(json.dumps(report, indent=1))
    finally:
        for mark in [
            scheduler_mark(config),
            *(worker_mark(config, name) for name in ("one", "two")),
        ]:
            process.kill_session(mark)
        stop(config)
        companion.stop(path)
        shutil.rmtree(folder)


def measure(
    path: str, config: JobsConfig, database: Database, given: argparse.Namespace
) -> dict[str, Any]:
    report: dict[str, Any] = {"jobs": given.jobs}
    amounts = [float(text) for text in given.work_ms.split(",")]
    peers = {amount: plain_rq(config, given.jobs, amount) for amount in amounts}
    control = RunControl(path, database, config)
    start_worker(config, path, WantedWorker("one", ("gpu", "io", "cpu", "default")))
    start_scheduler(config, path)
    ours(database, control, 10, 0)
    for amount in amounts:
        took = ours(database, control, given.jobs, amount)
        report[f"work {amount:g} ms"] = {
            "ours_ms_per_job": round(took / given.jobs * 1000, 2),
            "rq_ms_per_job": round(peers[amount] / given.jobs * 1000, 2),
            "ratio": round(took / peers[amount], 2),
        }
    asked, done = single_runs(database, control, given.jobs)
    report["runs_started_per_s"] = round(given.jobs / asked)
    report["runs_done_per_s"] = round(given.jobs / done)
    start_worker(config, path, WantedWorker("two", ("io", "cpu", "default")))
    took = ours(database, control, given.jobs * 2, 0)
    report["two_workers_jobs_per_s"] = round(given.jobs * 2 / took)
    report["gpu_ready_to_running_s"] = [
        round(gpu_ready(database, control, number), 3) for number in range(5)
    ]
    return report
