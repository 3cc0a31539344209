"""Deciding in a process of its own, so that documents of strangers cost it and nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.decide.decision import Decision, Thresholds
from adapters.decide.plan import Plan
from base.processes.process import APPLICATION_ROOT

ANSWER_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Group:
    """Documents, as JSON text, that belong together under a name."""

    name: str
    documents: Sequence[str]


def decide_apart(groups: Sequence[Group], thresholds: Thresholds) -> list[Decision]:
    """Decide about each group. Where that fails, its documents stay JSON, and the reason says so.

    The process answers group by group: the one it died at costs the others nothing.
    """
    decided: list[Decision] = []
    while len(decided) < len(groups):
        answers, why = _answers(groups[len(decided) :], thresholds)
        decided += answers
        if why:
            name = groups[len(decided)].name
            plan = Plan(name=name, form="jsonb")
            reasons = (f"the documents could not be looked at: {why}",)
            decided.append(
                Decision(
                    plan=plan, table=plan, reasons=reasons, structure_hash="", sampled=0, paths=()
                )
            )
    return decided


def _answers(groups: Sequence[Group], thresholds: Thresholds) -> tuple[list[Decision], str]:
    """Return what one process decided, and why it stopped before the end, if it did."""
    limits = thresholds.model_dump()
    lines = [
        json.dumps({"name": one.name, "thresholds": limits, "documents": list(one.documents)})
        for one in groups
    ]
    command = [sys.executable, "-m", "adapters.decide.main"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=APPLICATION_ROOT,
    ) as process:
        try:
            told = "\n".join(lines).encode("ascii")
            said, _ = process.communicate(told, timeout=ANSWER_TIMEOUT_S)
            why = "it needed too much memory or time" if process.returncode else ""
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            why = f"it took more than {ANSWER_TIMEOUT_S:g} s"
    whole = said.split(b"\n")[:-1]
    return [Decision.model_validate_json(line) for line in whole], why
