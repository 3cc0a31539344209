"""Operations on nodes: asked for by selectors, shown, hidden and brought back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from base.errors import UsageError
from base.model import Document
from base.operations.commands import local_caller
from base.operations.operation import Caller, Cli, Operation, Shell, operation
from base.output import say, write_json, write_line
from base.text import size_text
from sql.database.node_flags import Verb
from sql.datasets.node_report import NodeReport
from sql.operations.chosen import (
    CHANGE_TIMEOUT_S,
    CHOICE_LOADS,
    CHOICE_METAVARS,
    CHOICE_OPTIONS,
    SELECTOR,
    Chosen,
    SelectorField,
    chosen_by,
    what,
)
from sql.operations.node_report import write_report
from sql.operations.place import Place, opened
from sql.selector.select import Aggregate, Explanation, NodeRow
from sql.selector.selector import Selector

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["opened"]


# ---- Selectors -----------------------------------------------------------------------------------


class SelectRequest(Document):
    """Which nodes."""

    selector: SelectorField
    any_cost: Annotated[bool, Field(description="Run it however dear it looks.")] = False
    described: Annotated[bool, Field(description="With the descriptions of nodes.")] = False


def _selector(asked: SelectRequest) -> Selector:
    from sql.selector.document import read_selector

    return read_selector(asked.selector)


def _cost_max(caller: Caller, asked: SelectRequest) -> float:
    from sql.selector import select

    if not asked.any_cost:
        return select.COST_MAX
    if caller.role in ("guest", "viewer"):
        raise UsageError("any_cost is for operators; ask for less, or somebody who may")
    return float("inf")


def _show_explanation(explained: Explanation, _asked: SelectRequest) -> None:
    write_line(f"rows, about  {explained.rows_estimate:,}")
    write_line(f"cost         {explained.cost:,.0f}")
    write_line(f"statement    {explained.statement}")
    for name, value in explained.parameters.items():
        write_line(f"{name:<13}{value!r}")
    for line in explained.plan.splitlines():
        write_line(line)


@operation(
    "node.explain",
    role="viewer",
    kind="question",
    route="POST /nodes/explain",
    cli=Cli(command="select --explain", is_shown=False, show=_show_explanation),
)
def explain(place: Place, _caller: Caller, asked: SelectRequest) -> Explanation:
    """Only the estimate, the SQL and its parameters."""
    from sql.selector import select

    with place.database.reading() as connection:
        return select.explain(connection, _selector(asked))


def _show_total(total: Aggregate, _asked: SelectRequest) -> None:
    write_line(f"{total.count:,} nodes, {size_text(total.size_bytes)}")
    for kind, part in total.by_media_type.items():
        write_line(f"  {kind:<6} {part.count:>12,}  {size_text(part.size_bytes)}")


@operation(
    "node.count",
    role="guest",
    kind="question",
    route="POST /nodes/count",
    cli=Cli(command="select --count", is_shown=False, show=_show_total),
)
def count(place: Place, caller: Caller, asked: SelectRequest) -> Aggregate:
    """Only how many, and their size."""
    from sql.selector import select

    cost_max = _cost_max(caller, asked)
    with place.database.reading() as connection:
        return select.aggregate(connection, _selector(asked), cost_max=cost_max)


_EXAMPLE = """drystone select two-authors.yaml    # images of two authors:
    version: 1
    where:
      media_type: image
      ancestor: {within: 2, where: {description: ["twitter:user:1", "twitter:user:2"]}}"""


def _show_row(row: NodeRow, _asked: SelectRequest) -> None:
    # None of these is anybody's text, and tabs are to stay tabs.
    cells = ["" if part is None else str(part) for part in row[:5]]
    sys.stdout.write("\t".join(cells) + "\n")


@operation(
    "node.select",
    role="guest",
    kind="stream",
    route="POST /nodes/select",
    cli=Cli(
        command="select",
        positional=("selector",),
        metavars={"selector": "FILE"},
        options={"described": ()},
        loads={"selector": SELECTOR},
        before=lambda shell, asked: asked.model_copy(update={"described": shell.is_json}),
        switches={"count": count, "explain": explain},
        show=_show_row,
        example=_EXAMPLE,
    ),
    is_private=True,
)
def select_nodes(place: Place, caller: Caller, asked: SelectRequest) -> Iterator[NodeRow]:
    """List the nodes of a selector.

    One line each: node id, key, size in bytes, extension, media type, separated by tabs.
    """
    from sql.selector import select

    cost_max = _cost_max(caller, asked)
    with place.database.reading() as connection:
        yield from select.query_nodes(
            connection, _selector(asked), described=asked.described, cost_max=cost_max
        )


# ---- One node ------------------------------------------------------------------------------------


class OneNode(Document):
    """Which node."""

    name: Annotated[
        str, Field(description="Its key, node id or canonical description.", max_length=4_096)
    ]


@operation(
    "node.show",
    role="guest",
    kind="question",
    route="GET /nodes/{name:path}",
    cli=Cli(
        positional=("name",),
        metavars={"name": "NODE"},
        show=lambda report, _: write_report(report),
    ),
)
def show(place: Place, _caller: Caller, asked: OneNode) -> NodeReport:
    """Show all that the database knows about one node.

    Where its bytes lie is told by `drystone head KEY`.
    """
    return place.database.explore.node(asked.name)


# ---- Flags ---------------------------------------------------------------------------------------


class FlagRequest(Chosen):
    """Whose flag."""

    all_nodes: Annotated[
        bool, Field(description="Take a selector without a condition: every node.")
    ] = False


class FlagAnswer(Document):
    """How many nodes it is for, and how many were changed."""

    verb: Verb
    dry_run: bool
    nodes: int
    size_bytes: int
    changed: int


def _tell_flagged(shell: Shell, answer: FlagAnswer, _asked: FlagRequest) -> int:
    if not answer.nodes:
        say(f"nothing to {answer.verb}")
    elif answer.dry_run:
        say(f"would {answer.verb} {what(answer.nodes, answer.size_bytes)}")
    else:
        say(f"{answer.verb}: {answer.changed:,} nodes")
    if shell.is_json:
        write_json(answer)
    return 0


def _flagging(
    verb: Verb, words: str
) -> tuple[Operation[Place, FlagRequest, FlagAnswer], Operation[Place, FlagRequest, FlagAnswer]]:
    """Return two operations: what a verb would change, and the verb."""

    def looked(place: Place, caller: Caller, asked: FlagRequest, *, dry_run: bool) -> FlagAnswer:
        from sql.database import node_flags

        chosen, whole = chosen_by(place, caller, asked), asked.all_nodes
        total = node_flags.preview(place.database, verb, chosen, all_nodes=whole)
        changed = 0
        if total.count and not dry_run:
            changed = node_flags.set_flags(place.database, verb, chosen, all_nodes=whole)
        return FlagAnswer(
            verb=verb,
            dry_run=dry_run,
            nodes=total.count,
            size_bytes=total.size_bytes,
            changed=changed,
        )

    def look(place: Place, caller: Caller, asked: FlagRequest) -> FlagAnswer:
        return looked(place, caller, asked, dry_run=True)

    def change(place: Place, caller: Caller, asked: FlagRequest) -> FlagAnswer:
        return looked(place, caller, asked, dry_run=False)

    def ask_first(shell: Shell, asked: FlagRequest) -> FlagRequest:
        if not shell.is_sure:
            found = looked(shell.place, local_caller(), asked, dry_run=True)
            if found.nodes:
                shell.confirm(f"{verb} {what(found.nodes, found.size_bytes)}?")
        return asked

    look.__doc__, change.__doc__ = f"Tell how many nodes `node {verb}` would be for.", words
    described: Callable[..., Any] = operation(
        f"node.{verb}_plan",
        role="operator",
        kind="question",
        route=f"POST /nodes/{verb}/plan",
        cli=Cli(command=f"node {verb}", is_shown=False, finish=_tell_flagged),
    )
    plan = described(look)
    described = operation(
        f"node.{verb}",
        role="operator",
        kind="change",
        route=f"POST /nodes/{verb}",
        timeout_s=CHANGE_TIMEOUT_S,
        cli=Cli(
            options={**CHOICE_OPTIONS, "all_nodes": ("--all",)},
            metavars=CHOICE_METAVARS,
            loads=CHOICE_LOADS,
            dry_run=plan,
            before=ask_first,
            is_asked_before=True,
            finish=_tell_flagged,
        ),
    )
    return plan, described(change)


delete_plan, delete = _flagging(
    "delete",
    "Hide nodes from all selectors; their bytes stay, and `node undelete` brings them back.",
)
undelete_plan, undelete = _flagging("undelete", "Bring deleted nodes back.")
blacklist_plan, blacklist = _flagging(
    "blacklist", "Mark nodes as never to be used; selectors leave them out."
)
unblacklist_plan, unblacklist = _flagging("unblacklist", "Take nodes from the black list.")
