"""One root of errors: what each folder raises, what is drawn of it, and how it travels."""

from __future__ import annotations

import importlib
import pickle
import re

import pytest

from base import errors

BRANCHES = {
    "fsd.format.errors": "FsdError",
    "sql.core.errors": "SqlError",
    "adapters.records.errors": "AdapterError",
    "datasets.definition.errors": "DatasetError",
    "jobs.core.errors": "JobsError",
    "gui.core.errors": "GuiError",
}


def classes(module: str) -> dict[str, type[Exception]]:
    """Return the public errors that a module defines."""
    found = vars(importlib.import_module(module)).items()
    return {
        name: kind
        for name, kind in found
        if isinstance(kind, type) and kind.__module__ == module and not name.startswith("_")
    }


@pytest.mark.parametrize("module", ["base.errors", *BRANCHES])
def test_the_tree_is_drawn_as_it_is(module: str):
    kinds = classes(module)
    assert all(issubclass(kind, errors.DrystoneError) for kind in kinds.values())
    drawn = importlib.import_module(module).__doc__ or ""
    lines = [re.match(r"([│├└─ ]*)(\w+Error)\b", line) for line in drawn.splitlines()]
    parents: list[str] = []
    told: dict[str, str | None] = {}
    for line in filter(None, lines):
        depth = len(line[1]) // 4
        parents[depth:] = [line[2]]
        told[line[2]] = parents[depth - 1] if depth else None
    assert set(kinds) <= set(told)
    for name, kind in kinds.items():
        if told[name] is not None:
            assert told[name] in [parent.__name__ for parent in kind.__mro__[1:]], name


def test_every_folder_is_a_branch_and_a_mistake_has_one_class():
    for module, root in BRANCHES.items():
        kinds = classes(module)
        assert kinds[root].__bases__ == (errors.DrystoneError,)
        assert not {"UsageError", "ConfigError"} & set(kinds)


def test_a_refused_document_lists_some_and_travels():
    problems = [f"line {number}: no" for number in range(45)]
    for module, name, args, shown in (
        ("adapters.records.errors", "ContractError", ("a.yaml", problems), 40),
        ("datasets.definition.errors", "DefinitionError", ("d.yaml", problems), 20),
        ("sql.core.errors", "SelectorError", (problems,), 20),
    ):
        error = classes(module)[name](*args)
        assert str(error).count("\n  line ") == shown
        assert str(error).endswith(f"... and {45 - shown} more")
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.problems) == (str(error), problems)
        assert again.exit_code == errors.EXIT_USAGE
