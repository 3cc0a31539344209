"""What docs/names.md says that a name of the requirement became is there."""

from __future__ import annotations

import functools
import glob
import importlib
import os
import pkgutil
import re
from typing import get_args

import typer
from command import ROOT

import drystone
from adapters.actions import ActionContract
from adapters.actions.contract.config import ActionsConfig
from base.mistakes import model_at
from sql.runs.run_models import WaitingState

NAMES = os.path.join(ROOT, "docs", "names.md")
_CODE = re.compile(r"`([^`]+)`")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its first two lines."""
    with open(NAMES, encoding="utf-8") as file:
        section = file.read().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) > 3, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@functools.cache
def command_names() -> set[str]:
    """Return every command there is, such as `disk drain`."""
    found: set[str] = set()

    def add(group: typer.core.TyperGroup, words: tuple[str, ...]) -> None:
        for name, command in group.commands.items():
            found.add(" ".join((*words, name)))
            if isinstance(command, typer.core.TyperGroup):
                add(command, (*words, name))

    for folder in drystone.FOLDERS:
        add(typer.main.get_group(importlib.import_module(folder).cli_app), ())
    return found


def python_name(dotted: str) -> object:
    """Return what a dotted name stands for: a package, then what hangs on it."""
    return pkgutil.resolve_name(dotted)


def test_operations_and_commands_are_there():
    for there, python, command in rows("Operations"):
        assert python or command, there
        for name in _CODE.findall(python):
            assert callable(python_name(name)), name
        for name in _CODE.findall(command):
            if name.startswith("drystone "):
                assert name.removeprefix("drystone ") in command_names(), name


def test_keys_of_contracts_are_there():
    settings = {*ActionsConfig.model_fields, "[actions]"}
    for _, ours in rows("The contract of an action"):
        names = _CODE.findall(ours)
        assert names, ours
        for name in set(names) - settings:
            *above, key = name.split(".")
            model = model_at(above, ActionContract)
            assert model is not None and key in model.model_fields, name


def test_states_tables_and_commands_are_there():
    schema = ""
    for path in glob.glob(os.path.join(ROOT, "sql", "migrations", "*.sql")):
        with open(path, encoding="utf-8") as file:
            schema += file.read()
    for _, ours in rows("Tables"):
        for name in _CODE.findall(ours):
            if not re.search("[A-Z]", name):
                assert re.search(rf"CREATE (TABLE|VIEW|OR REPLACE VIEW) {name}\b", schema), name
    for _, ours in rows("Waiting, areas, seals"):
        for name in _CODE.findall(ours):
            if name.startswith("waiting_"):
                assert name in get_args(WaitingState)
            if name.startswith("drystone "):
                assert name.removeprefix("drystone ") in command_names(), name
