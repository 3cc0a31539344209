"""A request of UA_2: it owns which action over which nodes, checked before the run exists.

The contract is looked up once, here; its version and digest go into the request, so that a contract
which changes later stops the run and is never mixed into it.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from adapters import store_client
from adapters.actions import (
    DryRun,
    LoadedContract,
    checked_parameters,
    contract_named,
    dry_run_action,
    verify_sealed,
)
from jobs.errors import PermanentError
from sql import Database, Selector, parse_selector

_GATES = {"none": None, "gpu_ready": "gpu", "approval": "approval"}


class ActionParameters(BaseModel):
    """An action over a sealed batch, or over what a selector finds (its contract's by default).

    `parameters` are those of an AC4. With `approval` a person is asked first, whatever the contract
    says; a stage of a pipeline may want that. The last four are filled in; who gives them is
    refused when the contract says otherwise by now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    action_batch_id: int | None = Field(default=None, ge=1)
    selector: dict[str, Any] | str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    approval: bool = False
    version: int | None = None
    contract_digest: str | None = None
    queue: Literal["io", "cpu", "gpu"] = "cpu"
    gate: Literal["gpu", "approval"] | None = None

    @model_validator(mode="after")
    def _one_input(self) -> ActionParameters:
        if self.action_batch_id is not None and self.selector is not None:
            raise ValueError("give action_batch_id or selector, not both")
        return self


def prepare(config_path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Complete a request, or refuse it before there is a run."""
    given = ActionParameters.model_validate(parameters)
    loaded = contract_named(config_path, given.action)
    if given.contract_digest not in (None, loaded.digest):
        raise PermanentError(
            f"the contract of {given.action} is another than the one that was asked for; start anew"
        )
    spec = loaded.contract.run_spec
    selector = selector_of(given.selector)
    if given.action_batch_id is not None:
        with Database.open(config_path) as database:
            verify_sealed(database, given.action_batch_id)
    completed = given.model_copy(
        update={
            "selector": None if selector is None else _document(selector),
            "parameters": checked_parameters(loaded.contract, given.parameters),
            "version": loaded.contract.version,
            "contract_digest": loaded.digest,
            "queue": spec.queue if spec else "io",
            # A stage of a pipeline may wait for a machine that its contract does not ask for.
            "gate": (_GATES[spec.gate] or given.gate) if spec else None,
        }
    )
    return completed.model_dump(mode="json")


def request_key(parameters: dict[str, Any]) -> str:
    """Return what makes two requests one: action and digest, nodes, parameters."""
    names = ("action", "contract_digest", "action_batch_id", "selector", "parameters")
    return json.dumps({name: parameters.get(name) for name in names}, sort_keys=True)


def dry_run(config_path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Tell how many nodes, bytes, parts and files it would be, where they would lie, and the
    command; nothing is staged."""
    given = ActionParameters.model_validate(prepare(config_path, parameters))
    loaded = contract_named(config_path, given.action)
    with Database.open(config_path) as database:
        report = dry_run_action(
            store_client(config_path),
            database,
            loaded,
            selector_of(given.selector),
            given.action_batch_id,
            given.parameters,
        )
    # Through JSON, which has no tuples and no models: the form that pages and HTTP get.
    return TypeAdapter(DryRun).dump_python(report, mode="json")


def contract_of(config_path: str, parameters: dict[str, Any]) -> LoadedContract:
    """Return the contract a run began with; PermanentError when it is another by now."""
    loaded = contract_named(config_path or None, parameters["action"])
    if loaded.digest != parameters["contract_digest"]:
        raise PermanentError(
            f"the contract of {parameters['action']} changed after this run was asked for: put "
            f"version {parameters['version']} back as it was and retry, or start another run"
        )
    return loaded


def selector_of(given: dict[str, Any] | str | None) -> Selector | None:
    """Return the selector of a request: a document, or YAML."""
    if given is None:
        return None
    return parse_selector(given if isinstance(given, str) else json.dumps(given))


def _document(selector: Selector) -> dict[str, Any]:
    return selector.model_dump(mode="json", by_alias=True, exclude_unset=True)
