"""Reading set-aside outputs again: it owns what a repaired contract or parser makes of them.

The files and the inputs come out of the store, so 3C may have been freed long ago. Only what was
set aside is read: a file whose good records were taken gives those no second time.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.actions.contract.stage_model import StagedInput, unpack_inputs
from adapters.actions.outputs.children import check_children, store_files
from adapters.actions.outputs.hand_off import apply_intents, intent_id_of, outcomes_of
from adapters.actions.outputs.hand_off_intent import Work
from adapters.actions.outputs.parse_outputs import Parsed, Trouble, parse_outputs
from adapters.actions.outputs.tree import OWN_NAME
from adapters.records.errors import AdapterError
from adapters.records.listing import quarantine_path
from base.errors import UsageError
from base.text import safe_text
from fsd import Client
from sql import NodeOutcome, Quarantined, QuarantineRow

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from sql import Database


@dataclass(slots=True)
class ReplayReport:
    """What a replay did; `open` rows are still not understood."""

    event_id: int
    read: int = 0
    understood: int = 0
    open: int = 0
    results: int = 0
    children: int = 0
    problems: list[str] = field(default_factory=list[str])


def replay_outputs(
    client: Client,
    database: Database,
    loaded: LoadedContract,
    action_event_id: int,
    work_folder: str,
) -> ReplayReport:
    """Read all open rows of a run again; safe to call again.

    What is understood now becomes rows and children of that run, and its rows are closed. The
    contract may be a later version of the same action. `work_folder` must be one that the engine
    can write, with room for the files. Rows whose bytes were not kept stay open.
    """
    event = database.actions.event(action_event_id)
    if event.action_id != loaded.contract.action_id:
        raise UsageError(
            f"event {action_event_id} is of {event.action}, not {loaded.contract.name}"
        )
    report = ReplayReport(action_event_id)
    groups: dict[tuple[int, str], list[Quarantined]] = {}
    for row in database.quarantine.of_actions(action_event_id):
        if row.store_batch is None:
            report.open += 1
        else:
            groups.setdefault((row.part, row.store_batch), []).append(row)
    for (part, batch), rows in sorted(groups.items()):
        work = Work(loaded.contract, action_event_id, part, event.parameters)
        with tempfile.TemporaryDirectory(prefix=".replay-", dir=work_folder) as folder:
            os.chmod(folder, 0o755)
            _replay_batch(client, database, loaded, work, batch, rows, folder, report)
    return report


def _replay_batch(
    client: Client,
    database: Database,
    loaded: LoadedContract,
    work: Work,
    batch: str,
    rows: Sequence[Quarantined],
    folder: str,
    report: ReplayReport,
) -> None:
    inputs = _fetch(client, batch, folder)
    wanted = {(row.path, row.record_number) for row in rows}

    def is_wanted(path: str, number: int) -> bool:
        shown = quarantine_path(path)
        return (shown, number) in wanted or (shown, -1) in wanted

    output = os.path.join(folder, "output")
    extensions = database.file_extensions()
    parsed = parse_outputs(loaded.contract, inputs, "", output, extensions, is_wanted)
    check_children(loaded, inputs, parsed)
    mark = hashlib.sha256(repr((loaded.digest, batch, sorted(wanted))).encode()).hexdigest()[:12]
    still = {
        (quarantine_path(trouble.path), trouble.number): trouble
        for trouble in (*parsed.troubles, *parsed.refused.values())
        if is_wanted(trouble.path, trouble.number) and not trouble.harmless
    }
    _take(client, database, work, inputs, parsed, mark)
    # A crash here repeats the intent, which does nothing, and sorts the rows again.
    keys = {row.path: row.key for row in rows}
    again = [_aside_again(place, trouble, keys[place[0]]) for place, trouble in still.items()]
    database.quarantine.add_of_event(work.event_id, work.part, again, batch)
    closed = [row for row in rows if not _is_open(row, still)]
    database.quarantine.close(row.quarantine_id for row in closed)
    _record_outcomes(database, work, inputs, parsed)
    report.read += len(rows)
    report.understood += len(closed)
    report.open += len(rows) - len(closed) + sum(place not in wanted for place in still)
    report.results += sum(len(values) for values in parsed.rows.values())
    report.children += len(parsed.children)
    report.problems += [f"{row.path}: {row.reason}" for row in again]


def _fetch(client: Client, batch: str, folder: str) -> list[StagedInput]:
    """Write the files of a batch below `output`, as the program had them; returns the inputs."""
    output = os.path.join(folder, "output")
    os.mkdir(output)
    inputs: list[StagedInput] = []
    for file in client.batch_files(batch):
        path = os.path.join(folder if file.path == OWN_NAME else output, file.path)
        # The paths of a batch come from a listing: they lead nowhere else.
        os.makedirs(os.path.dirname(path), exist_ok=True)
        client.read(file.key, path)
        if file.path == OWN_NAME:
            with open(path, "rb") as listed:
                inputs = list(unpack_inputs(listed.read()))
    if not inputs:
        raise AdapterError(f"batch {batch} of the store has no list of inputs; see `drystone ls`")
    return inputs


def _take(
    client: Client,
    database: Database,
    work: Work,
    inputs: Sequence[StagedInput],
    parsed: Parsed,
    mark: str,
) -> None:
    if not parsed.seen:
        return
    prefix = f"action-{work.event_id}-{work.part}-replay"
    paths = sorted({child.path for child in parsed.children})
    keys = store_files(client, parsed.tree, prefix, paths)
    intent_id = f"{intent_id_of(work.event_id, work.part)}:replay:{mark}"
    # Beside what the run found, in the place of nothing.
    apply_intents(database, work, intent_id, inputs, parsed, keys, ())


def _is_open(row: Quarantined, still: Mapping[tuple[str, int], Trouble]) -> bool:
    """A file that is read now is closed: what is wrong inside has rows of its own."""
    return (row.path, row.record_number) in still or (row.path, -1) in still


def _aside_again(place: tuple[str, int], trouble: Trouble, key: str | None) -> QuarantineRow:
    return QuarantineRow(
        path=place[0],
        record_number=place[1],
        node_id=trouble.node_id,
        reason=safe_text(trouble.reason),
        key=key,
    )


def _record_outcomes(
    database: Database, work: Work, inputs: Sequence[StagedInput], parsed: Parsed
) -> None:
    """An input is done when something good is about it and nothing of it is open any more."""
    waiting = {row.node_id for row in database.quarantine.of_actions(work.event_id)}
    outcomes = [
        NodeOutcome(node_id=row.node_id, outcome="done")
        for row in outcomes_of(work.contract, inputs, parsed)
        if row.outcome == "done" and row.node_id in parsed.seen and row.node_id not in waiting
    ]
    database.actions.record_outcomes(work.event_id, work.part, outcomes)
