"""The commands of the adapters: it joins them and owns none."""

from __future__ import annotations

import typer

from adapters.cli import contract_check as cli_contract_check
from adapters.cli import contract_try as cli_contract_try
from adapters.cli import source_sniff as cli_source_sniff
from base.operations.commands import OperationGroup, add_later

ROOM = "adapters.operations"
_INGEST = "Store a scraped folder, describe it and connect it with everything that is known."
_PURGE = "Delete a batch or single files for good; what something else refers to stays."
_RESTORE = "Rebuild a store and its database from packages, when all disks are gone."
WORDS = {
    "ingest": {"ingest": _INGEST},
    "purge": {"purge": _PURGE},
    "outbox": {"restore": _RESTORE},
    "quarantine": {"audit": "Compare database and store both ways."},
}
"""The commands of one word that are operations, and their first lines, which a test compares."""

app = typer.Typer()


def _group(name: str, module: str, words: str, above: typer.Typer = app) -> typer.Typer:
    group = OperationGroup(name, f"{ROOM}.{module}", no_args_is_help=True, help=words)
    above.add_typer(group, name=name)
    return group


_group("source", "shipped", "The formats of scraped folders.").add_typer(cli_source_sniff.app)
_group("inbox", "inbox", "The inbox (3A): folders that wait.")
_group("request", "requests", "What programs sent, and dead letters.")
_group("outbox", "outbox", "Packages for cold storage (3B, TYPE1).")
_group("quarantine", "quarantine", "What could not be understood.")
for _module, _commands in WORDS.items():
    add_later(app, f"{ROOM}.{_module}", _commands)
_contract = _group("contract", "shipped", "The contracts of actions.")
_contract.add_typer(cli_contract_check.app)
_contract.add_typer(cli_contract_try.app)
_action = _group("action", "actions", "Actions, and what they left behind.")
_OUTPUTS = "Outputs of actions that could not be understood."
_group("quarantine", "actions", _OUTPUTS, _action)
_group("batch", "batches", "Action batches: sealed choices of nodes.")
_group("pipeline", "pipelines", "Pipelines: actions in a line.")
SCHEMA_WORDS = "Tables of JSON that nobody declared, proposed and accepted."
_group("schema", "schemas", SCHEMA_WORDS)
