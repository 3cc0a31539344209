"""What a workflow is: it owns the declaration of steps, and which step follows which.

    Workflow(name, steps)          steps in order; each is one task, or one task per part
    Step(name, function, ...)      `function(context) -> StepResult | dict | None`

A step that is not per part, followed by one that is, plans the parts: its result carries them.
Parts go through consecutive per-part steps on their own, each at its pace. The first step after
them is a barrier: it begins when no part is open any more and none failed. A step that is `always`
begins also when something failed or the run was cancelled, so that it can put things in order.

Nothing here touches a database, Redis or a clock; a step function reaches them by its TaskContext.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from base.errors import UsageError
from sql import NewTask, Successors

Queue = Literal["io", "cpu", "gpu", "default"]
PARTS_MAX = 100_000


class TaskContext(Protocol):
    """What a step function is given. Every call may be made from any thread."""

    @property
    def config_path(self) -> str:
        """The drystone.toml."""
        ...

    @property
    def run_id(self) -> int:
        """The run."""
        ...

    @property
    def task_id(self) -> int:
        """The task: the same for every attempt, so it may name what has to be made once."""
        ...

    @property
    def token(self) -> int:
        """Number of this attempt of the task, from 1."""
        ...

    @property
    def part(self) -> int:
        """Number of the part, 0 for a step that is done once."""
        ...

    @property
    def parameters(self) -> dict[str, Any]:
        """The run's parameters, as the workflow checked them."""
        ...

    @property
    def spec(self) -> dict[str, Any]:
        """The part, plus what the former steps of the chain passed on."""
        ...

    @property
    def requested_by(self) -> str:
        """Who asked for the run; empty when nobody said."""
        ...

    @property
    def log_path(self) -> str:
        """The log file of this attempt; stdout and stderr of the step go there too."""
        ...

    @property
    def database(self) -> Any:
        """The `sql.Database`, opened when it is first asked for. Not on a remote worker."""
        ...

    def log(self, text: str) -> None:
        """Add a line to the log of this attempt."""
        ...

    def progress(self, done: int, total: int = 0, unit: str = "", text: str = "") -> None:
        """Say how far it is; cheap, told to the database with the next heartbeat."""
        ...

    def cancelled(self) -> bool:
        """Tell whether to stop: the run was cancelled, or the task is somebody else's."""
        ...

    def check_cancelled(self) -> None:
        """Raise what says why, if so: CancelledError, LeaseLostError or GivenBackError.

        Call it at the border of every chunk, and let what it raises pass.
        """
        ...

    def lease_left_s(self) -> float:
        """Return how long the task is surely this attempt's, if no heartbeat gets through."""
        ...


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step came to. `values` is kept as its result.

    `parts` are the specs of the parts, from a step in front of a per-part step. `pass_on` is added
    to the spec of whatever follows. `state` may be `partial` with an `error` that says what is
    missing.
    """

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    parts: Sequence[dict[str, Any]] = ()
    pass_on: dict[str, Any] = field(default_factory=dict[str, Any])
    state: Literal["done", "partial"] = "done"
    error: str = ""


StepFunction = Callable[[TaskContext], "StepResult | dict[str, Any] | None"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `gate` may depend on the run's parameters.

    `restart_at` names the per-part step at which a part begins anew when the run is retried after
    this step failed (an earlier one whose work was cleaned away meanwhile). `queue` may be a
    function of parameters, and so may `gate`.
    """

    name: str
    function: StepFunction
    queue: str | Callable[[dict[str, Any]], str] = "default"
    per_part: bool = False
    gate: (
        Literal["gpu", "approval"]
        | Callable[[dict[str, Any]], Literal["gpu", "approval"] | None]
        | None
    ) = None
    always: bool = False
    attempts_max: int = 3
    backoff_s: float = 5.0
    restart_at: str | None = None
    remote: bool = False
    """Whether a worker on another machine may take it: it then uses no `database`."""
    passes_on: tuple[str, ...] = ()
    """What a worker on another machine may say for those who follow: the names of all that may be
    in `pass_on` and in the specs of parts. Whatever else it says there is refused."""

    def task(self, parameters: dict[str, Any], part: int, spec: dict[str, Any]) -> NewTask:
        """Return the task that this step is for a part."""
        return NewTask(
            step=self.name,
            part=part,
            queue=self.queue(parameters) if callable(self.queue) else self.queue,
            gate=self.gate(parameters) if callable(self.gate) else self.gate,
            spec=spec,
            attempts_max=self.attempts_max,
            backoff_s=self.backoff_s,
        )


@dataclass(frozen=True, slots=True)
class Workflow:
    """A named sequence of steps.

    `parameters` is the pydantic model that checks a request. `once` means that a request that was
    done is never done again. `key` gives what makes two requests the same, when it is less than all
    parameters. `prepare` may complete or refuse checked parameters (config path, parameters) before
    the run exists. `dry_run` tells what a request would do, as a JSON-able document. `is_bulk` is
    what brings much in, or makes up for much: always in the low lane, unless `size_bytes` says how
    little a request (config path, parameters) concerns. The lane of a request without a priority
    follows that, where it is known; a step that learns of it says `runs.set_size`. `said_priority`
    tells the priority that what is worked on came with; it goes before the size. `tries` gives how
    often the first step of a request is tried, and the first pause, where it is not that step's.
    """

    name: str
    description: str
    steps: tuple[Step, ...]
    parameters: type[BaseModel]
    once: bool = False
    key: Callable[[dict[str, Any]], str] | None = None
    prepare: Callable[[str, dict[str, Any]], dict[str, Any]] | None = None
    dry_run: Callable[[str, dict[str, Any]], dict[str, Any]] | None = None
    is_bulk: bool = False
    size_bytes: Callable[[str, dict[str, Any]], int | None] | None = None
    said_priority: Callable[[str, dict[str, Any]], int | None] | None = None
    tries: Callable[[str, dict[str, Any]], tuple[int, float] | None] | None = None

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        assert names and len(set(names)) == len(names), f"{self.name}: steps need unique names"
        assert not self.steps[0].per_part, f"{self.name}: the first step plans the parts"

    def step(self, name: str) -> Step:
        """Return a step by its name; UsageError for a task of another version of the code."""
        for step in self.steps:
            if step.name == name:
                return step
        raise UsageError(f"workflow {self.name} has no step {name!r}; was Drystone updated?")

    def first_task(self, parameters: dict[str, Any]) -> NewTask:
        """Return the task with which a run begins."""
        return self.steps[0].task(parameters, 0, {})

    def successors(
        self,
        name: str,
        part: int,
        parameters: dict[str, Any],
        spec: dict[str, Any],
        result: StepResult | None,
    ) -> Successors:
        """Return what follows a step that ended; `result` is None when it failed or was cancelled.

        Barrier and rescue are given at every end, since whoever ends last makes one of them.
        """
        place = self.steps.index(self.step(name))
        rescue = self._next_once(place, parameters, {}, always=True)
        if result is None:
            return Successors(rescue=rescue)

        passed = {**spec, **result.pass_on}
        # What one part passes on is of no use to what follows all of them.
        barrier = self._next_once(place, parameters, {} if part else passed)
        following = self.steps[place + 1] if place + 1 < len(self.steps) else None
        tasks: tuple[NewTask, ...] = ()
        if following is not None and following.per_part:
            if part:
                tasks = (following.task(parameters, part, passed),)
            else:
                tasks = _part_tasks(following, parameters, result)
        return Successors(next_tasks=tasks, barrier=barrier, rescue=rescue)

    def rescue(self, parameters: dict[str, Any]) -> NewTask | None:
        """Return the first step that puts things in order, for a run that is cancelled."""
        return self._next_once(-1, parameters, {}, always=True)

    def _next_once(
        self, place: int, parameters: dict[str, Any], spec: dict[str, Any], *, always: bool = False
    ) -> NewTask | None:
        """Return the next step that is done once, or the next of those that are done always."""
        for step in self.steps[place + 1 :]:
            if not step.per_part and (step.always or not always):
                return step.task(parameters, 0, spec)
        return None

    def restart_at(self, name: str) -> str | None:
        """Return the step at which a failed task of this step begins anew; None for one that is
        `always`, which comes after what is begun anew."""
        step = self.step(name)
        return None if step.always else step.restart_at or step.name


def _part_tasks(step: Step, parameters: dict[str, Any], result: StepResult) -> tuple[NewTask, ...]:
    if len(result.parts) > PARTS_MAX:
        raise UsageError(f"{len(result.parts):,} parts; at most {PARTS_MAX:,} are allowed")
    return tuple(
        step.task(parameters, number, {**part, **result.pass_on})
        for number, part in enumerate(result.parts, 1)
    )
