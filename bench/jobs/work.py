"""The work of `bench.jobs`, the same for both: it burns CPU for a while, or does nothing."""

from __future__ import annotations

import time

from pydantic import BaseModel

from jobs import Step, StepResult, TaskContext, Workflow


class BenchParameters(BaseModel):
    parts: int = 100
    work_ms: float = 0.0
    gpu: bool = False


def burn(work_ms: float) -> None:
    until = time.process_time() + work_ms / 1000
    while time.process_time() < until:
        pass


def plan(context: TaskContext) -> StepResult:
    return StepResult(parts=[{} for _ in range(context.parameters["parts"])])


def part(context: TaskContext) -> None:
    burn(context.parameters["work_ms"])


WORKFLOWS = (
    Workflow(
        "bench",
        "For the benchmark",
        (Step("plan", plan), Step("part", part, per_part=True)),
        BenchParameters,
    ),
    Workflow(
        "bench_gpu", "For it, too", (Step("infer", part, "gpu", gate="gpu"),), BenchParameters
    ),
    Workflow("bench_one", "For it, too", (Step("one", part),), BenchParameters),
)
