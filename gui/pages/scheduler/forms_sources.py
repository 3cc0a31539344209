"""Which form a workflow has: it owns what is offered in it, from inbox, contracts and batches.

Everything here blocks. A workflow without a form of its own gets one from its parameters alone.
What comes back is refused where a browser may not ask for it, before the workflow checks the rest.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from base.errors import UsageError
from gui.pages.runs.words import workflow_title
from gui.reading.desk import Desk
from gui.reading.views import SavedSelectors, saved_selectors
from gui.widgets.forms import Field, fields_of, filled_in, shown_value

if TYPE_CHECKING:
    from adapters.actions import ActionContract

BATCHES_OFFERED = 100
PARAMETER = "parameters."
_INPUT = "input"
_KINDS = {"text": "text", "integer": "integer", "float": "number", "boolean": "boolean"}
_GATES = {"approval": "an approval", "gpu_ready": "a GPU machine that is ready"}
_TYPES = {
    "AC1": "SQL only", "AC2": "CPU, deterministic", "AC3": "GPU with a model",
    "AC4": "with parameters, makes children", "AC5": "people label",
}  # fmt: skip


class Form(NamedTuple):
    """What a person fills in; `values` are what it shows at first, by field."""

    workflow: str
    title: str
    description: str
    facts: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]
    values: dict[str, Any]
    fixed: dict[str, Any]
    """Parameters that were chosen before the form."""
    signals: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    """What `_READY.json` says of the folders of the inbox, by field."""
    views: SavedSelectors = ()
    """The saved views that may be chosen."""


def form_of(
    desk: Desk, workflow: str, given: Mapping[str, Any], user_id: int | None = None
) -> Form:
    """Return the form of a workflow for an account, filled with these parameters.

    Raises UsageError.
    """
    from jobs import workflow_named

    found = workflow_named(workflow)
    if workflow == "ua_1":
        return _ingest_form(desk, found.description, given)
    if workflow == "ua_2":
        views = () if user_id is None else saved_selectors(desk, user_id)
        return _action_form(desk, found.description, given, views)
    if workflow == "ua_3":
        return _dataset_form(desk, found.description, given)
    fields = tuple(fields_of(found.parameters))
    values = {field.name: shown_value(field, given.get(field.name, field.default))
              for field in fields}  # fmt: skip
    return Form(workflow, workflow_title(workflow), found.description, (), fields, values, {})


def parameters_of(desk: Desk, form: Form, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a filled form. UsageError has a line for each mistake."""
    values = filled_in(form.fields, given)
    if form.workflow == "ua_1":
        check_folder(desk, str(values.get("folder", "")))
    if form.workflow == "ua_2":
        values = _action_parameters(values, form.views)
    values.pop(_INPUT, None)
    return {**form.fixed, **values}


def check_folder(desk: Desk, folder: str) -> None:
    """Refuse a folder that is not in the inbox: a browser reads no other place of this machine."""
    inbox = os.path.realpath(desk.store_config.area_path("3a"))
    if os.path.commonpath([inbox, os.path.realpath(folder)]) != inbox:
        raise UsageError(
            f"{folder} is not in the inbox {inbox}; move it there, or use `drystone ingest`"
        )


# ---- UA_1 ----------------------------------------------------------------------------------------


def _ingest_form(desk: Desk, description: str, given: Mapping[str, Any]) -> Form:
    from adapters import adapter_names, waiting_folders

    inbox = desk.store_config.area_path("3a")
    folders: list[tuple[str, str]] = []
    signals: dict[str, dict[str, str]] = {}
    for one in waiting_folders(inbox):
        name = os.path.basename(one.folder)
        folders.append((one.folder, f"{name} ({one.problem})" if one.problem else name))
        if (signal := one.signal) is not None:
            said = {"batch": signal.batch, "source": signal.adapter, "user": signal.user or ""}
            signals[one.folder] = said
    chosen = given.get("folder")
    given = {**signals.get(str(chosen), {}), **given}
    known = {path for path, _ in folders}
    fields = (
        Field("folder", "choice", "Folder in the inbox", None, True, tuple(folders)),
        Field("batch", "text", "Name of the batch", None, True, (),
              "for ever: a batch has one name, and the same again is the same run"),
        Field("source", "choice", "Format", "auto", True,
              (("auto", "let Drystone look"), *((name, name) for name in adapter_names()))),
        Field("user", "text", "For which user"),
    )  # fmt: skip
    values = {
        "folder": chosen if chosen in known else None,
        "batch": given.get("batch") or (os.path.basename(str(chosen)) if chosen else None),
        "source": given.get("source") or "auto",
        "user": given.get("user"),
    }
    facts = (("Inbox", inbox), ("Folders in it", f"{len(folders):,}"))
    return Form("ua_1", workflow_title("ua_1"), description, facts, fields, values, {}, signals)


# ---- UA_2 ----------------------------------------------------------------------------------------


def _action_form(
    desk: Desk, description: str, given: Mapping[str, Any], views: SavedSelectors
) -> Form:
    from adapters.actions import contracts, gates_of_action

    known = contracts(desk.config.config_path)
    name = given.get("action")
    if name not in known:
        choices = tuple(
            (one, f"{one}: {loaded.contract.description}") for one, loaded in known.items()
        )
        field = Field("action", "choice", "Action", None, True, choices)
        facts = (("Contracts", f"{len(known):,}"),)
        # For the form of the action, once it is chosen.
        kept = {"selector": given["selector"]} if given.get("selector") else {}
        return Form("ua_2", workflow_title("ua_2"), description, facts, (field,), {}, kept)
    contract = known[name].contract
    batches = tuple(
        (one.action_batch_id, f"batch {one.action_batch_id}, {one.node_count:,} nodes")
        for one in desk.database().overview.standing(BATCHES_OFFERED).action_batches
        if one.seal_date is not None
    )
    inputs = [("batch", "a sealed batch"), ("selector", "what a selector finds")]
    if views:
        inputs.insert(1, ("view", "what a saved view finds"))
    if contract.input_selector is not None:
        inputs.insert(0, ("all", "everything it can work on"))
    fields = (
        Field(_INPUT, "choice", "Over which nodes", None, True, tuple(inputs)),
        Field("action_batch_id", "choice", "Sealed batch", None, True, batches,
              shown_if=(_INPUT, "batch")),
        Field("selector", "document", "Selector", None, True, (),
              "as YAML; the explorer writes one for you (button YAML)",
              shown_if=(_INPUT, "selector")),
        Field("view", "choice", "Saved view", None, True, tuple((name, name) for name, _ in views),
              "a schedule keeps its selector, whatever becomes of it", shown_if=(_INPUT, "view")),
        Field("nodes_max", "integer", "At most so many files a batch", None, False, (),
              "the next of which the action is not done yet, the oldest first; the same again goes "
              "on with the rest. Not with a sealed batch.", 1),
        *_parameter_fields(contract),
    )  # fmt: skip
    # What a run that is cloned asked for beside the contract.
    names = ("approval", "gpu_ready", "gate", "enrol")
    asked = {name: given[name] for name in names if given.get(name)}
    facts = _contract_facts(contract, gates_of_action(desk.database(), contract.name))
    if given.get("enrol"):
        facts = (("Pipeline", f"{given['enrol']}; the batch is put into it"), *facts)
    return Form(
        "ua_2", contract.name, contract.description, facts, fields,
        _action_values(fields, given, inputs[0][0]), {"action": contract.name, **asked},
        views=views,
    )  # fmt: skip


def _parameter_fields(contract: ActionContract) -> list[Field]:
    fields: list[Field] = []
    for name, one in contract.parameters.items():
        kind: Any = "choice" if one.one_of is not None else _KINDS[one.type]
        choices = tuple((value, str(value)) for value in one.one_of or ())
        fields.append(
            Field(PARAMETER + name, kind, name, one.default, one.default is None, choices,
                  one.description, one.min, one.max)
        )  # fmt: skip
    return fields


def _contract_facts(
    contract: ActionContract, of_pipelines: frozenset[str]
) -> tuple[tuple[str, str], ...]:
    spec = contract.run_spec
    facts = [
        ("Type", f"{contract.type}: {_TYPES[contract.type]}"),
        ("Version", str(contract.version)),
    ]
    if spec is not None:
        facts.append(("Runs", f"{spec.runner}, queue {spec.queue}"))
    # A pipeline's gates belong to its action, however that is started.
    asked = of_pipelines | ({spec.gate} if spec is not None else frozenset[str]())
    gates = [words for gate, words in _GATES.items() if gate in asked]
    facts.append(("Waits for", " and ".join(gates) or "nothing"))
    return tuple(facts)


def _action_values(
    fields: tuple[Field, ...], given: Mapping[str, Any], first: str
) -> dict[str, Any]:
    of_action: Mapping[str, Any] = given.get("parameters") or {}
    batch, selector = given.get("action_batch_id"), given.get("selector")
    values: dict[str, Any] = {
        _INPUT: "batch" if batch else "selector" if selector else first,
        "action_batch_id": batch,
        "nodes_max": given.get("nodes_max"),
    }
    for field in fields:
        if field.name == "selector":
            values["selector"] = shown_value(field, selector)
        elif field.name.startswith(PARAMETER):
            value = of_action.get(field.name.removeprefix(PARAMETER), field.default)
            values[field.name] = shown_value(field, value)
    return values


def _action_parameters(values: Mapping[str, Any], views: SavedSelectors) -> dict[str, Any]:
    names = ("action", "action_batch_id", "selector", "nodes_max")
    found: dict[str, Any] = {name: values[name] for name in names if name in values}
    if values.get("view") is not None:
        found["selector"] = dict(views)[values["view"]]
    found["parameters"] = {
        name.removeprefix(PARAMETER): value
        for name, value in values.items()
        if name.startswith(PARAMETER)
    }
    return found


# ---- UA_3 ----------------------------------------------------------------------------------------


def _dataset_form(desk: Desk, description: str, given: Mapping[str, Any]) -> Form:
    """A definition is written here, or a dataset named: a browser reads no file of the machine."""
    versions = desk.database().datasets.versions()
    names = tuple(
        (f"{one.name}@{one.version}", f"{one.name}, version {one.version}")
        for one in reversed(versions)
        if one.state == "built"
    )
    inputs = (("definition", "a definition, written here"), ("name", "one that is built already"))
    fields = (
        Field(_INPUT, "choice", "Which dataset", None, True, inputs),
        Field("definition", "document", "Definition", None, True, (),
              "as YAML; see `drystone dataset --help`", shown_if=(_INPUT, "definition")),
        Field("name", "choice", "Dataset", None, True, names, shown_if=(_INPUT, "name")),
        Field("export", "boolean", "Export it too", True,
              hint="a dataset that is built already can only be exported"),
        Field("mode", "choice", "Export as", None, False,
              (("copy", "a copy on the SSD"), ("view", "a view in the mount")),
              "as the definition says when left empty"),
        Field("export_id", "text", "Name of the export"),
        Field("allow_deleted", "boolean", "Also files that were deleted since", False),
    )  # fmt: skip
    definition = fields[1]
    values = {
        _INPUT: "name" if given.get("name") else "definition",
        "definition": shown_value(definition, given.get("definition")),
        "export": given.get("export", True),
        **{name: given.get(name) for name in ("name", "mode", "export_id", "allow_deleted")},
    }
    facts = (("Versions built", f"{len(names):,}"),)
    return Form("ua_3", workflow_title("ua_3"), description, facts, fields, values, {})
