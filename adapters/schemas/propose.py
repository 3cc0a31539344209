"""From the documents of a batch to proposals: which belong together, and what to make of them.

What is accepted gets the batch's rows; a proposal that waits is brought up to date, and never is
anything taken away. The same batch again proposes the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from adapters.decide.apart import Group, decide_apart
from adapters.decide.growth import grown
from adapters.decide.names import NAME_LENGTH_MAX
from adapters.decide.plan import Plan
from adapters.decide.shapes import Keys, grouped, keys_of, most_like
from adapters.schemas import verdict
from adapters.schemas.rows import plan_of, replay, statements_of, write_rows
from base.errors import UsageError
from sql import BusyError, Database, Proposal, SchemaError

if TYPE_CHECKING:
    from adapters.decide.decision import Decision, Thresholds
    from adapters.schemas.config import SchemasConfig
    from sql import NewShape, SchemaVersion

AUTO_MIGRATE = "auto_migrate"
"""Who accepts what comes to trusted schemas."""
NAME_MAX = NAME_LENGTH_MAX - 12
"""Room for a number, and for the names of lists."""
SAMPLE_BYTES_MAX = 32 << 20
"""Of all documents of one schema that are looked at; the first is looked at whatever its size."""


def take_up(
    database: Database,
    batch: str,
    config: SchemasConfig,
    say: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Sort the documents that a batch has, propose, and give accepted schemas their rows.

    Its intents have been applied. Returns the names of the schemas that have a proposal which
    waits for somebody.
    """
    if not database.schemas.has_documents():
        return []
    thresholds = config.thresholds
    _sort(database, batch)
    names = database.schemas.of_batch(batch)
    known = {name: database.schemas.versions(name) for name in names}
    active = {name: _with_status(versions, "active") for name, versions in known.items()}
    groups = {name: _sample(database, name, active[name], thresholds) for name in names}
    groups = {name: group for name, group in groups.items() if group.documents}
    decided = decide_apart(list(groups.values()), thresholds)
    proposed: list[str] = []
    for name, decision in zip(groups, decided, strict=True):
        proposal = _proposal(name, decision, active[name], known[name])
        if proposal is not None:
            database.schemas.propose(proposal)
            proposed.append(name)
    for name in names:
        if (version := active[name]) is not None:
            if name in config.auto_migrate and version.replay_time is None:
                replay(database, version, say)  # Who accepted it by itself was killed in it.
            write_rows(database, version, batch)
    # What was proposed by a run that was killed before it came to this is proposed again above.
    waiting = [name for name in proposed if not _is_accepted(database, name, config, say)]
    for name in waiting:
        say(f"{batch}: `drystone schema show {name}` proposes a table of its documents")
    return waiting


def _is_accepted(
    database: Database, name: str, config: SchemasConfig, say: Callable[[str], None]
) -> bool:
    """Accept the proposal of a trusted schema; tell whether it was.

    Proposals only add to what is accepted. Where somebody rolled a version back, the next one waits
    for somebody, too.
    """
    if name not in config.auto_migrate:
        return False
    versions = database.schemas.of(name)
    active = _with_status(versions, "active")
    if any(one.status == "former" and (not active or one.version > active.version)
           for one in versions):  # fmt: skip
        return False
    try:
        verdict.accept(database, name, AUTO_MIGRATE, say=say)
    except (BusyError, SchemaError, UsageError) as error:
        # Also when a backup reads the table for an hour: what comes next brings it up again.
        say(f"{name} is not accepted by itself: {error}")
        return False
    return True


# ---- Which belong together -----------------------------------------------------------------------


def _sort(database: Database, batch: str) -> None:
    """Give each new set of keys the schema that it is most like, or a new one."""
    new = {one.shape: one for one in database.schemas.new_shapes(batch)}
    keys = {shape: keys_of(json.loads(one.document)) for shape, one in new.items()}
    known = database.schemas.shapes()
    found: dict[str, str] = {}
    others: dict[str, Keys] = {}
    for shape, own in keys.items():
        name = most_like(own, known)
        if name is None:
            others[shape] = own
        else:
            found[shape] = name
    taken = {name for name, _ in known}
    counts = {shape: one.documents for shape, one in new.items()}
    for group in grouped(others, counts):
        name = _new_name(database, (new[shape] for shape in group), taken)
        taken.add(name)
        found |= dict.fromkeys(group, name)
    database.schemas.add_shapes((shape, keys[shape], name) for shape, name in found.items())


def _new_name(database: Database, shapes: Iterable[NewShape], taken: set[str]) -> str:
    """Return a free name, after where most of the documents came from."""
    origins: Counter[str] = Counter()
    for one in shapes:
        origins[one.origin] += one.documents
    word = min(origins, key=lambda origin: (-origins[origin], origin))[:NAME_MAX].rstrip("_")
    name, number = word, 1
    while name in taken or not database.schemas.is_free(name):
        number += 1
        name = f"{word}_{number}"
    return name


# ---- What is made of them ------------------------------------------------------------------------


def _with_status(versions: list[SchemaVersion], status: str) -> SchemaVersion | None:
    return next((one for one in versions if one.status == status), None)


def _sample(
    database: Database, name: str, active: SchemaVersion | None, thresholds: Thresholds
) -> Group:
    """Return what is looked at: of an accepted schema, the documents since."""
    after = active.seen_document_id if active else 0
    texts = database.schemas.sample(name, thresholds.sample_documents, after)
    size, kept = 0, list[str]()
    for text in texts:
        size += len(text)
        if kept and size > SAMPLE_BYTES_MAX:
            break
        kept.append(text)
    return Group(name, kept)


def _proposal(
    name: str, decision: Decision, active: SchemaVersion | None, known: list[SchemaVersion]
) -> Proposal | None:
    """Return what is to be proposed; None where it is what is accepted, or was rejected."""
    plan, table, reasons = decision.plan, decision.table, decision.reasons
    if active is not None:
        own = plan_of(active.plan)
        plan, lines = grown(own, decision.table)
        if plan == own:
            return None
        table, reasons = plan, (*lines, "what the accepted version has stays")
    if any(one.status == "rejected" and _is_same(plan_of(one.plan), plan) for one in known):
        return None
    return Proposal(
        name=name,
        choice=plan.form,
        structure_hash=decision.structure_hash,
        plan=plan.model_dump_json(),
        table_plan=table.model_dump_json(),
        ddl=statements_of(plan),
        reason="\n".join(reasons),
        documents_sampled=decision.sampled,
    )


def _is_same(one: Plan, other: Plan) -> bool:
    """Tell whether two plans make the same columns, whatever their comments say of how many."""

    def columns(plan: Plan) -> object:
        own = {(column.path, column.type) for column in plan.columns}
        inner = {
            (child.key, column.path, column.type)
            for child in plan.children
            for column in child.columns
        }
        return plan.form, own, inner

    return columns(one) == columns(other)
