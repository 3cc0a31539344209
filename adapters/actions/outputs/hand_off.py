"""The hand-off (S04): it owns the order in which a program's outputs become part of the data.

    parse      the output folder, which is only read
    limits     of the children, all of the part or nothing
    store      children and what was set aside: two verified copies, acknowledged
    apply      the write-intents, each one transaction
    record     what became of every input, and the rows of the quarantine

Killed anywhere and run again it does the same, and once: intents are known by event and part, files
are in the store already, rows are brought up to date. The database only ever hears of bytes that
the store has acknowledged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from adapters.actions.outputs.children import batch_name, check_children, store_files
from adapters.actions.outputs.events import check_event
from adapters.actions.outputs.hand_off_intent import GENERATED, Work, build_intents
from adapters.actions.outputs.parse_outputs import Parsed, Trouble, parse_outputs
from adapters.actions.outputs.quarantine_outputs import keep_troubles
from adapters.records.errors import LimitError
from adapters.records.listing import quarantine_path
from base.errors import UsageError
from base.text import safe_text
from fsd import Client
from sql import IntentResult, NodeOutcome, QuarantineRow, WriteIntent

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.contract import ActionContract
    from adapters.actions.contract.stage_model import StagedInput, StagedPart
    from sql import Database

LISTED_MAX = 100
REASON_LENGTH_MAX = 1_000
ENDED_WELL = ("done", "partial")
"""States of a run after which its outputs are taken."""
WHOLE_PART = "."
"""The path of a quarantine row that means all outputs of a part."""


class HandOffReport(BaseModel):
    """What one part became. JSON-able; lists are cut at LISTED_MAX, counts are not.

    `state` is done when every input is, partial when some are, failed when none is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: Literal["done", "partial", "failed"]
    action_event_id: int
    part: int
    repeated: bool = False
    """It was applied before; figures of rows are those of then."""
    inputs: int = 0
    done: int = 0
    missing: int = 0
    failed: int = 0
    missing_inputs: tuple[int, ...] = ()
    failed_inputs: tuple[int, ...] = ()
    files: int = 0
    ignored: int = 0
    records: int = 0
    results: int = 0
    superseded: int = 0
    children: int = 0
    children_bytes: int = 0
    nodes_new: int = 0
    edges_new: int = 0
    cycles: int = 0
    quarantined: int = 0
    problems: tuple[str, ...] = ()
    reason: str = ""


def take_outputs(
    client: Client,
    database: Database,
    loaded: LoadedContract,
    staged: StagedPart,
    *,
    action_event_id: int,
    part: int,
    parameters: Mapping[str, Any],
    run_id: int | str,
    exit_state: str,
    reason: str = "",
) -> HandOffReport:
    """Take the outputs of a part that ran; safe to call again, also after a crash.

    With an `exit_state` that is neither done nor partial nothing is read: all inputs failed, for
    `reason`. Raises UsageError when the contract changed since the run began, AdapterError and the
    errors of store and database when they cannot do their part; then call it again.
    """
    check_event(database, loaded, action_event_id, parameters)
    work = Work(loaded.contract, action_event_id, part, parameters)
    known = _applied(database, work, staged)
    if known is not None:
        return known
    if exit_state not in ENDED_WELL:
        said = reason or f"the program of run {run_id} ended as {exit_state}"
        return _fail(database, work, staged, said)
    staged.check_files()
    try:
        parsed = parse_outputs(
            work.contract,
            staged.files,
            staged.input_root,
            staged.output_root,
            database.file_extensions(),
        )
        check_children(loaded, staged.files, parsed)
    except LimitError as error:
        aside = QuarantineRow(path=WHOLE_PART, reason=safe_text(str(error))[:REASON_LENGTH_MAX])
        database.quarantine.add_of_event(work.event_id, work.part, [aside], None)
        return _fail(database, work, staged, str(error))
    return _take(client, database, work, staged, parsed)


def intent_id_of(action_event_id: int, part: int) -> str:
    """Return the id of the intent that says a part was taken."""
    return f"action:{action_event_id}:{part}"


def _take(
    client: Client, database: Database, work: Work, staged: StagedPart, parsed: Parsed
) -> HandOffReport:
    prefix = f"action-{work.event_id}-{work.part}"
    paths = sorted({child.path for child in parsed.children})
    keys = store_files(client, parsed.tree, prefix, paths)
    rows, batch = keep_troubles(client, work.contract, parsed, staged.files, prefix + "-aside")
    # A crash here leaves objects that nobody refers to; the next call finds them existing.
    outcomes = outcomes_of(work.contract, staged.files, parsed)
    replaced = parsed.seen | {row.node_id for row in outcomes if row.outcome == "done"}
    outcomes += [
        NodeOutcome(node_id=left.node_id, outcome="missing", reason=_short(left.reason))
        for left in staged.left_out
    ]
    if not parsed.children and not any(parsed.rows.values()) and _all_failed(outcomes):
        # No intent says that it was taken: what a retry writes is read anew.
        set_aside_refused(database, work, parsed)
        database.quarantine.add_of_event(work.event_id, work.part, rows, batch)
        return _fail_each(database, work, parsed, outcomes)
    intent_id = intent_id_of(work.event_id, work.part)
    results = apply_intents(database, work, intent_id, staged.files, parsed, keys, replaced)
    # A crash here leaves the intents: the next call writes the rows below, and nothing else.
    set_aside_refused(database, work, parsed)
    database.quarantine.add_of_event(work.event_id, work.part, rows, batch)
    database.actions.record_outcomes(work.event_id, work.part, outcomes)
    return report_of(work.event_id, work.part, outcomes).model_copy(
        update={
            **figures_of(parsed),
            "superseded": sum(result.results_superseded for result in results),
            "nodes_new": sum(result.nodes_new for result in results),
            "edges_new": sum(result.edges_new for result in results),
            "cycles": sum(len(result.cycles) for result in results),
            "repeated": any(result.repeated for result in results),
        }
    )


def apply_intents(
    database: Database,
    work: Work,
    intent_id: str,
    inputs: Sequence[StagedInput],
    parsed: Parsed,
    keys: Mapping[str, str],
    superseding: Collection[int],
) -> list[IntentResult]:
    """Write what was parsed; the last intent, which has the id, is the commit point."""
    if parsed.children:
        database.declare(GENERATED)
    # Of several intents all but the last are known by the listing too: outputs that are written
    # again, before the last one came in, make others in the place of those.
    mark = batch_name(parsed.tree, "", list(parsed.tree.files))
    intents = build_intents(work, intent_id, mark, inputs, parsed, keys, superseding)
    return [_apply(database, intent) for intent in intents]


def _apply(database: Database, intent: WriteIntent) -> IntentResult:
    try:
        return database.apply_intent(intent)
    except UsageError:
        # Applied with what the program had written before it ran once more: that stays.
        if database.actions.intent_applied(intent.intent_id):
            return IntentResult(intent_id=intent.intent_id, repeated=True)
        raise


# ---- Outcomes --------------------------------------------------------------------------------


def outcomes_of(
    contract: ActionContract, inputs: Sequence[StagedInput], parsed: Parsed
) -> list[NodeOutcome]:
    """Return what became of every input: a record that was refused fails its input."""
    parser = contract.output_parser
    assert parser is not None
    wrong = {node_id: _line(trouble) for node_id, trouble in parsed.refused.items()}
    for trouble in parsed.troubles:
        if trouble.node_id is not None and not trouble.harmless:
            wrong.setdefault(trouble.node_id, _line(trouble))
    outcomes: list[NodeOutcome] = []
    for item in inputs:
        if item.node_id in wrong:
            reason = _short(wrong[item.node_id])
            outcomes.append(NodeOutcome(node_id=item.node_id, outcome="failed", reason=reason))
        elif item.node_id in parsed.seen or not parser.every_input:
            outcomes.append(NodeOutcome(node_id=item.node_id, outcome="done"))
        else:
            reason = "no output is about it"
            outcomes.append(NodeOutcome(node_id=item.node_id, outcome="missing", reason=reason))
    return outcomes


def _fail(database: Database, work: Work, staged: StagedPart, reason: str) -> HandOffReport:
    text = _short(reason)
    ids = [item.node_id for item in staged.files] + [left.node_id for left in staged.left_out]
    outcomes = [NodeOutcome(node_id=node_id, outcome="failed", reason=text) for node_id in ids]
    database.actions.record_outcomes(work.event_id, work.part, outcomes)
    return report_of(work.event_id, work.part, outcomes).model_copy(update={"reason": text})


def _all_failed(outcomes: Sequence[NodeOutcome]) -> bool:
    return bool(outcomes) and all(row.outcome == "failed" for row in outcomes)


def _fail_each(
    database: Database, work: Work, parsed: Parsed, outcomes: Sequence[NodeOutcome]
) -> HandOffReport:
    """Record why each input failed, of which nothing can be taken."""
    database.actions.record_outcomes(work.event_id, work.part, outcomes)
    return report_of(work.event_id, work.part, outcomes).model_copy(
        update={
            **figures_of(parsed),
            "reason": f"every input failed, such as {outcomes[0].reason}",
        }
    )


def _applied(database: Database, work: Work, staged: StagedPart) -> HandOffReport | None:
    """Return the report of a part that was taken before, whatever the output folder says now."""
    if not database.actions.intent_applied(intent_id_of(work.event_id, work.part)):
        return None
    outcomes = list(database.actions.outcomes(work.event_id, part=work.part))
    if len(outcomes) < len(staged.files):
        # Killed before the outcomes were recorded: they are read out of the folder again.
        return None
    return report_of(work.event_id, work.part, outcomes).model_copy(update={"repeated": True})


def report_of(event_id: int, part: int, outcomes: Sequence[NodeOutcome]) -> HandOffReport:
    """Return the report that outcomes alone make."""
    by_outcome: dict[str, list[int]] = {"done": [], "missing": [], "failed": []}
    for row in outcomes:
        by_outcome[row.outcome].append(row.node_id)
    done = len(by_outcome["done"])
    state = "done" if done == len(outcomes) else "partial" if done else "failed"
    return HandOffReport(
        state=state,
        action_event_id=event_id,
        part=part,
        inputs=len(outcomes),
        done=done,
        missing=len(by_outcome["missing"]),
        failed=len(by_outcome["failed"]),
        missing_inputs=tuple(by_outcome["missing"][:LISTED_MAX]),
        failed_inputs=tuple(by_outcome["failed"][:LISTED_MAX]),
    )


def set_aside_refused(database: Database, work: Work, parsed: Parsed) -> None:
    """Enter the inputs of which nothing is taken. No bytes are kept: what is too large stays so."""
    rows = [
        QuarantineRow(
            path=quarantine_path(trouble.path),
            record_number=trouble.number,
            node_id=trouble.node_id,
            reason=_short(trouble.reason),
        )
        for trouble in parsed.refused.values()
    ]
    if rows:
        database.quarantine.add_of_event(work.event_id, work.part, rows, None)


def figures_of(parsed: Parsed) -> dict[str, Any]:
    """Return what a report says of what was read, and of what was set aside."""
    troubles = [*parsed.refused.values(), *parsed.troubles]
    return {
        "files": len(parsed.tree.files),
        "ignored": parsed.ignored,
        "records": parsed.records,
        "results": sum(len(rows) for rows in parsed.rows.values()),
        "children": len(parsed.children),
        "children_bytes": sum({one.path: one.size_bytes for one in parsed.children}.values()),
        "quarantined": len(troubles),
        "problems": tuple(_line(trouble) for trouble in troubles[:LISTED_MAX]),
    }


def _line(trouble: Trouble) -> str:
    place = quarantine_path(trouble.path)
    record = f", record {trouble.number}" if trouble.number >= 0 else ""
    return safe_text(f"{place}{record}: {trouble.reason}")


def _short(text: str) -> str:
    return safe_text(text)[:REASON_LENGTH_MAX]
