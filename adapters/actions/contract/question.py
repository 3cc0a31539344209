"""Questions to people: a contract of AC5, written from what is asked, who answers, and how many."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml

from adapters.actions.contract.check import CONTRACT_NAME, LoadedContract, check_contract
from adapters.actions.contract.config import own_folder
from adapters.actions.contract.registry import (
    LIBRARY,
    contract_named,
    declare_contract,
    survey,
)
from adapters.records.errors import ContractError
from base.errors import UsageError
from base.files import sync_folder, write_durably

if TYPE_CHECKING:
    from sql import Database

Kind = Literal["classification", "boxes"]
SHIPPED: dict[Kind, str] = {"classification": "human_classification", "boxes": "human_boxes"}
"""The shipped contract that a new one of a kind begins as."""
FIRST_NUMBER = 1_000
NUMBERS_TRIED_MAX = 100


class NewQuestion(NamedTuple):
    """What is asked; `people` are accounts, none means everybody who labels."""

    name: str
    question: str
    kind: Kind
    classes: tuple[str, ...]
    labellers: int = 1
    people: tuple[str, ...] = ()


def make_question(config_path: str, database: Database, new: NewQuestion) -> LoadedContract:
    """Write the contract of a question, and make it known.

    It lies in the folder `actions` beside drystone.toml. Raises UsageError for a name that is
    taken, ContractError for what no contract may say.
    """
    known = survey(config_path).contracts
    folder = os.path.join(own_folder(config_path), new.name)
    if new.name in known or os.path.exists(folder):
        raise UsageError(f"there is an action {new.name} already; take another name")
    first = max(FIRST_NUMBER - 1, *(one.contract.action_id for one in known.values())) + 1
    if problems := check_contract(_text(new, first)):
        raise ContractError(new.name, [str(problem) for problem in problems])
    number = _number(database, new.name, first)
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    try:
        os.mkdir(folder)
    except FileExistsError:
        raise UsageError(f"there is an action {new.name} already; take another name") from None
    # Barrier: the name and its number are the database's; a crash here leaves a folder without a
    # contract, which the next call says to remove.
    write_durably(os.path.join(folder, CONTRACT_NAME), _text(new, number).encode())
    sync_folder(os.path.dirname(folder))
    # Barrier: the contract is durable. Only now may the database know what it says.
    loaded = contract_named(config_path, new.name)
    declare_contract(database, loaded)
    return loaded


def _number(database: Database, name: str, first: int) -> int:
    """Take the first number that no action ever had in this database."""
    refused = UsageError(f"no number is free for the action {name}")
    for number in range(first, first + NUMBERS_TRIED_MAX):
        try:
            database.actions.declare_action(number, name, "AC5")
        except UsageError as error:
            refused = error
            continue
        return number
    raise refused


def _text(new: NewQuestion, number: int) -> str:
    with open(os.path.join(LIBRARY, SHIPPED[new.kind], CONTRACT_NAME), encoding="utf-8") as file:
        document: dict[str, Any] = yaml.safe_load(file)
    task = {
        "kind": new.kind, "question": new.question, "classes": list(new.classes),
        "labellers": new.labellers,
    }  # fmt: skip
    if new.people:
        task["people"] = list(new.people)
    document |= {
        "action_id": number,
        "name": new.name,
        "description": new.question,
        "label_task": task,
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
