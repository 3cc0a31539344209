"""The runner of all checks, which `./drystone test` becomes: format, lint, types, imports, tests.

It owns which steps there are, over how many processes tests are spread, and the seed of their
random faults. It imports none of ours.

Exit codes: 0 all passed, 1 some step failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from typing import Annotated

import typer

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORKERS_MIN, WORKERS_MAX = 4, 8
SCARCE_STEAL_SHARE = 0.1
ALONE_TESTS_MAX = 20
"""So many failed tests are run again alone, to tell whether others have to do with it."""
SEED_VARIABLE = "DRYSTONE_TEST_SEED"

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
PYTEST = [sys.executable, "-m", "pytest"]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Run pytest only.")] = False,
    long_form: Annotated[
        bool, typer.Option("--long", help="Run the tests of docs/faults.md, for half an hour.")
    ] = False,
    seed: Annotated[
        str, typer.Option("--seed", metavar="S", help="Replay random faults with this seed.")
    ] = "",
) -> None:
    """Run every check: format, lint, types, imports, tests. Other arguments go to pytest."""
    if long_form:
        _run_long_form(seed or _new_seed(), context.args)
        return
    os.environ[SEED_VARIABLE] = seed or os.environ.get(SEED_VARIABLE) or _new_seed()
    failed = _run_short_form(context.args, is_fast=fast)
    if failed:
        print(f"drystone: failed: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def _run_short_form(arguments: list[str], *, is_fast: bool) -> list[str]:
    """Run all steps, or pytest alone, and return the headings of those that failed."""
    since = _processor_ticks()
    failed: list[str] = []
    beside: list[_Beside] = []
    if not is_fast:
        static_steps = {
            "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "."],
            "ruff check": [sys.executable, "-m", "ruff", "check", "."],
            "import-linter": [sys.executable, os.path.join("tests", "import_contracts.py")],
        }
        failed += [name for name, command in static_steps.items() if not _passes(name, command)]
        # Beside the tests: it takes a minute of one processor, and they wait now and then.
        types = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable]
        beside.append(_Beside("basedpyright", types))
    heading = f"pytest; to replay its random faults: --seed {os.environ[SEED_VARIABLE]}"
    processes = parallel(arguments, _stolen_share(since))
    if not _passes(heading, [*PYTEST, *processes, *arguments]):
        failed.append("pytest")
        if not arguments:
            _tell_what_passes_alone()
    return failed + [step.heading for step in beside if not step.passes()]


def _run_long_form(seed: str, arguments: list[str]) -> None:
    """Run the fault tests alone, as long as they are."""
    replay = f"./drystone test --long --seed {seed}"
    command = [*PYTEST, *parallel(arguments), "--long", "--seed", seed, *arguments]
    if not _passes(f"pytest, long form; to replay it: {replay}", command):
        print(f"drystone: failed: pytest; to replay it: {replay}", file=sys.stderr)
        raise typer.Exit(1)


def _new_seed() -> str:
    """Return a seed that nobody chose."""
    return secrets.token_hex(4)


def parallel(arguments: list[str], stolen_share: float = 0.0) -> list[str]:
    """Spread the whole suite over processes; whoever passes arguments decides for themselves."""
    # More than there are processors, because tests wait; only a few more where the machine is
    # short of them, or all would wait for each other.
    processors = os.cpu_count() or 1
    wanted = processors * 3 // 2 if stolen_share < SCARCE_STEAL_SHARE else processors * 5 // 4
    workers = min(WORKERS_MAX, max(WORKERS_MIN, wanted))
    return [] if arguments else ["-n", str(workers)]


def _processor_ticks() -> tuple[int, int]:
    """Return the ticks that were taken from this machine since its start, and those it asked for.

    The kernel counts as stolen what a virtual machine wanted and its host gave to others.
    """
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, irq, soft_irq, stolen = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return 0, 0
    return stolen, user + nice + system + irq + soft_irq + stolen


def _stolen_share(since: tuple[int, int]) -> float:
    """Return which share of the ticks that were asked for since then was taken away."""
    stolen, asked = (now - then for now, then in zip(_processor_ticks(), since, strict=True))
    return stolen / asked if asked else 0.0


def _tell_what_passes_alone() -> None:
    """Run what failed once more, alone, and name what passes then.

    The run has failed all the same: a test that fails beside others has found something, in what it
    tests or in itself. This only says where to look.
    """
    names = _last_failed()
    if not 0 < len(names) <= ALONE_TESTS_MAX:
        return
    _passes("pytest, what failed, alone", [*PYTEST, "--last-failed"])
    if passed := sorted(names - _last_failed()):
        print(f"drystone: failed beside other tests, passed alone: {', '.join(passed)}")


def _last_failed() -> set[str]:
    try:
        with open(os.path.join(ROOT, ".pytest_cache/v/cache/lastfailed"), encoding="utf-8") as file:
            return set(json.load(file))
    except (OSError, ValueError):
        return set()


def _passes(heading: str, command: list[str]) -> bool:
    """Run one step from the repository root under its heading; its output goes straight through."""
    print(f"== {heading}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


class _Beside:
    """A step that runs while others do; what it says comes at its end."""

    def __init__(self, heading: str, command: list[str]) -> None:
        self.heading = heading
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as we do
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=self._said, stderr=subprocess.STDOUT
        )

    def passes(self) -> bool:
        """Wait for it."""
        code = self._process.wait()
        with self._said as said:
            said.seek(0)
            print(f"== {self.heading}\n{said.read().decode()}", end="", flush=True)
        return code == 0


if __name__ == "__main__":
    try:
        app(prog_name="drystone test")
    except KeyboardInterrupt:
        sys.exit(130)
