"""Contracts as people write them: it owns reading a file, and explaining its mistakes.

A contract is read in three steps, and only the mistakes of the first that fails are told: the
document (YAML), its fields (`adapters.actions.contract.contract`), the rules between them
(`adapters.actions.contract.rules`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from adapters.actions.contract.contract import A4_SCALE, ActionContract
from adapters.actions.contract.place import (
    DOCUMENT_BYTES_MAX,
    Problem,
    ProblemError,
    problem_at,
    problems_of,
    read_placed,
)
from adapters.actions.contract.rules import broken_rules
from adapters.records.errors import ContractError
from base.documents import Path, Placed
from base.errors import DrystoneError, UsageError
from base.text import safe_text
from sql import Selector, read_selector

CONTRACT_NAME = "contract.yaml"
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class LoadedContract:
    """A contract that passed every check; `folder` is where its file (and its program) lies."""

    contract: ActionContract
    path: str
    folder: str
    digest: str
    """sha256 of its canonical JSON, 64 hexadecimal digits."""
    count_cap: float = A4_SCALE
    """Children per input in this installation, which the contract may except itself from."""

    @property
    def count_scale(self) -> float:
        """Return how many times as many children as inputs there may be."""
        return self.contract.child_limits.count_scale or self.count_cap


def load_contract(path: str) -> LoadedContract:
    """Read a contract file, or the contract.yaml of a folder.

    Raises ContractError with every mistake as `line N, key.path: reason`.
    """
    if os.path.isdir(path):
        path = os.path.join(path, CONTRACT_NAME)
    path = os.path.abspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{safe_text(path)} cannot be read: {error.strerror}") from None
    contract, problems = _read(data, os.path.dirname(path))
    if contract is None or problems:
        raise ContractError(safe_text(path), [str(problem) for problem in problems])
    return loaded_contract(contract, path)


def loaded_contract(contract: ActionContract, path: str) -> LoadedContract:
    """Return a checked contract with its digest."""
    digest = hashlib.sha256(canonical_json(contract).encode()).hexdigest()
    return LoadedContract(contract, path, os.path.dirname(path), digest)


def check_contract(text: str | bytes, folder: str | None = None) -> list[Problem]:
    """Return every mistake of a contract; with its folder also whether its program is there."""
    return _read(text, folder)[1]


def canonical_json(contract: ActionContract) -> str:
    """Return the contract as JSON; equal contracts give equal texts. Defaults are left out, so
    that a field which is added later changes no old digest."""
    document = contract.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def _read(data: str | bytes, folder: str | None) -> tuple[ActionContract | None, list[Problem]]:
    try:
        placed = read_placed(data)
    except ProblemError as error:
        return None, [error.problem]
    if not isinstance(placed.value, dict):
        return None, [
            Problem(1, "the document", "a contract is a mapping: begin with `action_id: `")
        ]
    document = dict(cast("dict[str, Any]", placed.value))
    selector, problems = _selector(placed, document.pop("input_selector", None))
    try:
        contract = ActionContract.model_validate(document)
    except ValidationError as error:
        problems += problems_of(placed, error, ActionContract)
        return None, sorted(problems, key=lambda problem: problem.line)
    contract = contract.model_copy(update={"input_selector": selector})
    rules = broken_rules(contract, folder)
    problems += [problem_at(placed, path, reason) for path, reason in rules]
    return contract, sorted(problems, key=lambda problem: problem.line)


def _selector(placed: Placed, document: Any) -> tuple[Selector | None, list[Problem]]:
    if document is None:
        return None, []
    try:
        return read_selector(document), []
    except DrystoneError as error:
        said: list[str] = getattr(error, "problems", [str(error)])
    return None, [_selector_problem(placed, line) for line in said]


def _selector_problem(placed: Placed, line: str) -> Problem:
    place, _, reason = line.partition(": ")
    steps: Path = tuple(int(number) if number else word for number, word in _STEP.findall(place))
    if not reason or steps == ("selector",):
        return problem_at(placed, ("input_selector",), reason or line)
    return problem_at(placed, ("input_selector", *steps), reason)
