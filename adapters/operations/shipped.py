"""Operations on what Drystone brings along, with or without a store: adapters and contracts."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from base.config import find_config
from base.errors import EXIT_INCOMPLETE, DrystoneError
from base.model import Document
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import say, write_json, write_table

if TYPE_CHECKING:
    from adapters.actions import LoadedContract


class Shipped(NamedTuple):
    """What ships, and what the drystone.toml adds to it where there is one."""

    config_path: str | None


def store_if_any(config: str | None) -> str | None:
    """Return drystone.toml, or None where there is none: what ships is there without a store."""
    try:
        return find_config(config)
    except DrystoneError:
        if config is not None:
            raise
        return None


@contextmanager
def opened(config: str | None) -> Generator[Shipped]:
    """Yield what ships, with what a store adds."""
    yield Shipped(store_if_any(config))


class Source(Document):
    """An adapter, and the tables of metadata that it fills."""

    name: str
    platforms: list[str]


def _show_sources(found: list[Source], _asked: NoRequest) -> None:
    write_table(("adapter", "platforms"), [(one.name, ", ".join(one.platforms)) for one in found])


@operation(
    "source.list",
    role="viewer",
    kind="question",
    route="GET /sources",
    cli=Cli(show=_show_sources),
)
def sources(_place: Shipped, _caller: Caller, _asked: NoRequest) -> list[Source]:
    """List the adapters, and the tables of metadata that each fills."""
    from adapters.sources.registry import adapters

    return [
        Source(name=name, platforms=[table.name for table in adapter.tables])
        for name, adapter in adapters().items()
    ]


class Contract(Document):
    """An action, as its contract describes it; `contract` is the contract's file."""

    action_id: int
    name: str
    type: str
    version: int
    description: str
    digest: str
    contract: str


class BrokenContract(Document):
    """A contract that cannot be used, and why."""

    contract: str
    reason: str


class Contracts(Document):
    """All contracts there are."""

    contracts: list[Contract]
    broken: list[BrokenContract]


def contract_of(loaded: LoadedContract) -> Contract:
    """Return what a contract says of itself."""
    told = loaded.contract.model_dump(include={"action_id", "name", "type", "version"})
    return Contract(
        **told,
        description=loaded.contract.description,
        digest=loaded.digest,
        contract=loaded.path,
    )


def _finish_contracts(shell: Shell, answer: Contracts, _asked: NoRequest) -> int:
    if shell.is_json:
        write_json([*answer.contracts])
    else:
        rows = [
            (str(one.action_id), one.name, one.type, str(one.version), one.description)
            for one in answer.contracts
        ]
        write_table((">id", "action", "type", ">version", "what it does"), rows)
    for one in answer.broken:
        say(one.reason)
    return EXIT_INCOMPLETE if answer.broken else 0


@operation(
    "contract.list",
    role="viewer",
    kind="question",
    route="GET /contracts",
    cli=Cli(finish=_finish_contracts),
)
def contracts(place: Shipped, _caller: Caller, _asked: NoRequest) -> Contracts:
    """List the actions there are: shipped ones, and those of [actions] folders in drystone.toml."""
    from adapters.actions.contract.registry import survey

    found = survey(place.config_path)
    return Contracts(
        contracts=[contract_of(one) for one in found.contracts.values()],
        broken=[
            BrokenContract(contract=path, reason=str(error)) for path, error in found.broken.items()
        ],
    )
