"""The place of work of the store's operations: in the engine its parts, elsewhere its client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from base.operations.operation import Shell
    from fsd.engine.engine import Engine
    from fsd.engine.outbox_room import OutboxRoom
    from fsd.engine.stage_output import StageOutputs


@dataclass(frozen=True, slots=True)
class Serving:
    """The engine, and what is reserved in its areas by others."""

    engine: Engine
    outputs: StageOutputs
    outbox: OutboxRoom


def ask(shell: Shell, one: Any, **fields: Any) -> Any:
    """Return the answer of another operation, for a command that needs it."""
    return shell.place.do(one, **fields)
