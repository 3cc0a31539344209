"""Which actions there are: it owns finding their contracts, and making them known to a database.

Contracts ship in adapters/actions/library, one folder each; more lie in the [actions] folders of
drystone.toml. One that is broken never hides the others: it is listed with its mistakes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from adapters.actions.contract.check import (
    CONTRACT_NAME,
    LoadedContract,
    canonical_json,
    load_contract,
)
from adapters.actions.contract.config import load_actions_config
from adapters.actions.contract.contract import ActionContract
from adapters.actions.contract.rules import result_table
from adapters.records.errors import ContractError
from base.errors import UsageError
from base.mistakes import suggestion
from sql import Relationship, WriteIntent

if TYPE_CHECKING:
    from sql import Database

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "library")
FOLDERS_MAX = 1_000


@dataclass(slots=True)
class Survey:
    """All contracts by name, and the files that hold none, with the reason."""

    contracts: dict[str, LoadedContract] = field(default_factory=dict[str, LoadedContract])
    broken: dict[str, UsageError] = field(default_factory=dict[str, UsageError])


def survey(config_path: str | None) -> Survey:
    """Read every contract there is. A name or number that is taken already breaks the later one."""
    found = Survey()
    numbers: dict[int, str] = {}
    config = load_actions_config(config_path)
    for path in _files((LIBRARY, *config.folders)):
        try:
            loaded = replace(load_contract(path), count_cap=config.child_count_scale)
            contract = loaded.contract
            other = found.contracts.get(contract.name)
            taken = other.path if other else numbers.get(contract.action_id)
            if taken:
                what = f"name {contract.name}" if other else f"action_id {contract.action_id}"
                raise ContractError(path, [f"the {what} is that of {taken} already"])
        except UsageError as error:
            found.broken[path] = error
            continue
        found.contracts[contract.name] = loaded
        numbers[contract.action_id] = path
    return found


def contracts(config_path: str | None) -> dict[str, LoadedContract]:
    """Return all sound contracts by name: shipped ones, then those of the [actions] folders."""
    return survey(config_path).contracts


def contract_named(config_path: str | None, name: str) -> LoadedContract:
    """Return one; UsageError with its mistakes when it is broken, or with a suggestion."""
    found = survey(config_path)
    if name in found.contracts:
        return found.contracts[name]
    for path, error in found.broken.items():
        if os.path.basename(os.path.dirname(path)) == name:
            raise error
    hint = suggestion(name, found.contracts)
    broken = f" ({len(found.broken)} contracts are broken)" if found.broken else ""
    raise UsageError(
        f"there is no action {name[:100]!a}{hint}{broken}; see `drystone contract list`"
    )


def contract_at(config_path: str | None, place: str) -> LoadedContract:
    """Return the contract of a file or folder, or else of the action of this name."""
    if not os.path.exists(place):
        return contract_named(config_path, place)
    count_cap = load_actions_config(config_path).child_count_scale
    return replace(load_contract(place), count_cap=count_cap)


def declare_contract(database: Database, loaded: LoadedContract) -> None:
    """Make an action known: its row, its relationships, its result table, its version and digest.

    Again it does nothing. UsageError when its number or name means another action, when its result
    table cannot become this, or when this version was registered with other content.
    """
    contract = loaded.contract
    database.actions.declare_action(contract.action_id, contract.name, contract.type)
    # The version first: a contract that may not be used must change no table.
    database.action_context.register_contract(
        contract.action_id,
        contract.version,
        bytes.fromhex(loaded.digest),
        canonical_json(contract),
    )
    table = result_table(contract)
    if table is not None:
        database.declare(table)
    relationships = relationships_of(contract)
    if relationships:
        intent_id = f"contract:{contract.action_id}:{contract.version}:{loaded.digest[:32]}"
        database.apply_intent(WriteIntent(intent_id=intent_id, relationships=relationships))


def registered_contract(database: Database, digest: str) -> LoadedContract:
    """Return a contract as it was when it was declared, whatever its file says by now.

    For what reads outputs: there is no folder, so its program cannot be run. UsageError when it
    was never declared.
    """
    document = database.action_context.contract_document(bytes.fromhex(digest))
    if document is None:
        raise UsageError(f"no contract of digest {digest[:12]} was ever used in this database")
    return LoadedContract(ActionContract.model_validate_json(document), "", "", digest)


def relationships_of(contract: ActionContract) -> tuple[Relationship, ...]:
    """Return what the edges of an action mean, each once, by their words."""
    trees: dict[str, bool] = {}
    for output in contract.output_parser.outputs if contract.output_parser else ():
        if output.child is not None:
            trees[output.child.relationship] = output.child.forms_tree
    if contract.grouping is not None:
        trees[contract.grouping.relationship] = True
    return tuple(
        Relationship(description=word, forms_tree=tree, action_id=contract.action_id)
        for word, tree in sorted(trees.items())
    )


def _files(folders: tuple[str, ...]) -> list[str]:
    paths: list[str] = []
    for folder in folders:
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            if folder == LIBRARY:
                continue
            raise UsageError(
                f"{folder} cannot be read ({error.strerror}); correct [actions] folders in "
                "drystone.toml"
            ) from None
        for name in names[:FOLDERS_MAX]:
            path = os.path.join(folder, name, CONTRACT_NAME)
            if os.path.isfile(path):
                paths.append(path)
    return paths
