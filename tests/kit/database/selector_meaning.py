"""What a selector means, naively: it owns its evaluation over rows in lists, without any SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from selector_world import EXTENSIONS, PIPELINES, Node, World, outcome_of

from sql.selector.selector import ActionState, Condition, Metadata, Relative, Selector


def expected(world: World, selector: Selector) -> set[int]:
    """Return the nodes that `where` and the hiding flags leave; no sample, no limit."""
    return {
        node.node_id
        for node in world.nodes.values()
        if (selector.where is None or holds(world, node, selector.where))
        and (selector.include_deleted or not (node.content and node.content["is_delete"]))
        and (selector.include_blacklisted or not (node.content and node.content["in_black_list"]))
        and (selector.after_node_id is None or node.node_id > selector.after_node_id)
    }


def holds(world: World, node: Node, condition: Condition) -> bool:
    checks: dict[str, Callable[[Any], bool]] = {
        "all": lambda parts: all(holds(world, node, part) for part in parts),
        "any": lambda parts: any(holds(world, node, part) for part in parts),
        "negated": lambda part: not holds(world, node, part),
        "key": lambda keys: node.sha256.hex() in keys,
        "node_id": lambda ids: node.node_id in ids,
        "is_virtual": lambda flag: (node.description is not None) == flag,
        "is_physical": lambda flag: (node.content is not None) == flag,
        "is_tree_root": lambda flag: (node.root_id == node.node_id) == flag,
        "depth": lambda wanted: _in_range(node.depth, wanted),
        "description": lambda wanted: _described(node.description, wanted),
        "metadata": lambda wanted: any(_observed(row, wanted) for row in node.metadata),
        "source_metadata": lambda wanted: any(_columns(row, wanted.columns) for row in node.alpha),
        "result": lambda wanted: any(_columns(row, wanted.columns) for row in node.ocr),
        "action": lambda wanted: _in_state(world, node, wanted),
        "pipeline": lambda wanted: (
            all(_is_done(world, node, action) for action in PIPELINES[wanted.name])
            == wanted.complete
        ),
        "action_batch": lambda ids: bool(node.action_batches & set(ids)),
        "ingest_batch": lambda names: bool(node.ingest_batches & set(names)),
        "parent": lambda wanted: _related(world, node, wanted, up=True, within=1),
        "child": lambda wanted: _related(world, node, wanted, up=False, within=1),
        "ancestor": lambda wanted: _related(world, node, wanted, up=True, within=wanted.within),
        "descendant": lambda wanted: _related(world, node, wanted, up=False, within=wanted.within),
        "tree_root": lambda wanted: holds(world, world.nodes[node.root_id], wanted.where),
        "same_tree": lambda wanted: any(
            other.root_id == node.root_id and holds(world, other, wanted.where)
            for other in world.nodes.values()
        ),
        "same_component": lambda wanted: any(
            other.component_id == node.component_id and holds(world, other, wanted.where)
            for other in world.nodes.values()
        ),
    }
    return all(
        checks[name](getattr(condition, name))
        if name in checks
        else _content(node.content, name, getattr(condition, name))
        for name in condition.model_fields_set
    )


def _content(content: dict[str, Any] | None, name: str, wanted: Any) -> bool:
    if name == "is_deleted":
        return bool(content and content["is_delete"]) == wanted
    if name == "is_blacklisted":
        return bool(content and content["in_black_list"]) == wanted
    if content is None:
        return False
    if name == "media_type":
        return EXTENSIONS[content["extension"]] in wanted
    if name == "extension":
        return content["extension"] in wanted
    return _in_range(content[name], wanted)


def _in_range(value: Any, wanted: Any) -> bool:
    tests = {
        "equals": lambda bound: value == bound,
        "min": lambda bound: value >= bound,
        "max": lambda bound: value <= bound,
        "since": lambda bound: value >= bound,
        "before": lambda bound: value < bound,
    }
    bounds = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    return value is not None and all(
        bound is None or tests[name](bound) for name, bound in bounds.items()
    )


def _described(text: str | None, wanted: Any) -> bool:
    return (
        text is not None
        and (wanted.equals is None or text in wanted.equals)
        and (wanted.prefix is None or text.startswith(wanted.prefix))
    )


def _observed(row: dict[str, Any], wanted: Metadata) -> bool:
    for name in wanted.model_fields_set:
        asked = getattr(wanted, name)
        if name in ("source", "user"):
            ok = row[name] in asked
        elif name in ("is_raw", "is_root"):
            ok = row[name] == asked
        elif name == "author":
            ok = _described(row["author_description"], asked)
        elif name == "title":
            title = row["title"]
            ok = (
                title is not None
                and (asked.equals is None or title.lower() == asked.equals.lower())
                and (asked.contains is None or asked.contains.lower() in title.lower())
            )
        else:
            ok = _in_range(row[name], asked)
        if not ok:
            return False
    return True


def _columns(row: dict[str, Any], columns: dict[str, Any]) -> bool:
    for column, match in columns.items():
        for name, asked in match.model_dump(exclude_unset=True, by_alias=True).items():
            value = row[column]
            if isinstance(value, date) and not isinstance(value, datetime):
                value = datetime.combine(value, datetime.min.time(), UTC)
            if name == "is_null":
                ok = (value is None) == asked
            elif value is None:
                ok = False
            elif name == "equals":
                ok = (value.hex() if isinstance(value, bytes) else value) == asked
            elif name == "in":
                ok = (value.hex() if isinstance(value, bytes) else value) in asked
            elif name == "contains":
                ok = asked.lower() in value.lower()
            elif name == "has":
                ok = set(asked if isinstance(asked, list) else [asked]) <= set(value)
            else:
                ok = {"min": value.__ge__, "max": value.__le__, "since": value.__ge__}.get(
                    name, value.__lt__
                )(asked)
            if not ok:
                return False
    return True


def _is_done(world: World, node: Node, action: str) -> bool:
    return any(
        outcome_of(world, batch, action, node.node_id) == "done" for batch in node.action_batches
    )


def _in_state(world: World, node: Node, wanted: ActionState) -> bool:
    done = _is_done(world, node, wanted.name)
    if wanted.done is wanted.failed is None:
        return done
    # Each of its batches was worked on by each action.
    failed = bool(node.action_batches) and not done
    return wanted.done in (None, done) and wanted.failed in (None, failed)


def _related(world: World, node: Node, wanted: Relative, *, up: bool, within: int) -> bool:
    reached, level = set(), {node.node_id}
    for _ in range(within):
        level = {
            parent if up else child
            for parent, child, name in world.edges
            if (child if up else parent) in level
            and (wanted.relationship is None or name in wanted.relationship)
        }
        reached |= level
    return any(
        wanted.where is None or holds(world, world.nodes[other], wanted.where) for other in reached
    )
