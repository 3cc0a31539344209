"""What a selector's SQL is made of: it owns parameters, aliases, and the tables of one node.

Pure. Every value is bound; every identifier is written here or comes from the database's catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, LiteralString

from psycopg.sql import SQL, Composable, Identifier, Placeholder

from sql.selector.selector import Condition
from sql.selector.vocabulary import Vocabulary


class Build:
    """One compilation: it gathers parameters and problems, and hands out aliases and choices."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        choices: Sequence[bool],
        grants: Sequence[int] | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        self.grants = grants
        self.parameters: dict[str, Any] = {}
        self.problems: list[str] = []
        self.choice_count = 0
        self._choices = choices
        self._aliases = 0

    def bind(self, value: Any) -> Composable:
        """Take a value as a parameter and return its placeholder."""
        name = f"p{len(self.parameters) + 1}"
        self.parameters[name] = value
        return Placeholder(name)

    def alias(self, name: str) -> Identifier:
        """Return an alias that nothing else has."""
        self._aliases += 1
        return Identifier(f"{name}_{self._aliases}")

    def choose(self) -> bool:
        """Take the next choice between two ways to say the same; False when nobody decided."""
        self.choice_count += 1
        taken = self.choice_count - 1
        return taken < len(self._choices) and self._choices[taken]

    def complain(self, path: str, reason: str) -> None:
        """Note a problem; compilation goes on, so that all of them are told."""
        self.problems.append(f"{path}: {reason}")


@dataclass(slots=True)
class Scope:
    """One node that conditions are about, and the tables joined for them.

    `node_id` is where its id is found. `base` tells which of its tables is there already.
    """

    build: Build
    node_id: Composable
    base: Literal["node", "content"] | None = None
    node: Identifier = field(init=False)
    content: Identifier = field(init=False)
    asset: Identifier = field(init=False)
    needs: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.node = self.build.alias("node")
        self.content = self.build.alias("content")
        self.asset = self.build.alias("asset")
        if self.base is not None:
            table = self.node if self.base == "node" else self.content
            self.node_id = SQL("{}.node_id").format(table)

    def of_node(self, column: LiteralString) -> Composable:
        """Return a column of the node's row."""
        self.needs.add("node")
        return SQL("{}.{}").format(self.node, Identifier(column))

    def of_content(self, column: LiteralString) -> Composable:
        """Return a column of the physical content; NULL for a node without."""
        self.needs.add("content")
        return SQL("{}.{}").format(self.content, Identifier(column))

    def of_asset(self, column: LiteralString) -> Composable:
        """Return a column of the virtual asset; NULL for a node without."""
        self.needs.add("asset")
        return SQL("{}.{}").format(self.asset, Identifier(column))

    def tables(self) -> Composable:
        """Return FROM's list for a scope with a base of its own."""
        own = "physical_content" if self.base == "content" else "node"
        alias = self.content if self.base == "content" else self.node
        return SQL("{} AS {}{}").format(Identifier(own), alias, self.joins())

    def joins(self) -> Composable:
        """Return the joins that the conditions asked for so far."""
        parts: list[Composable] = []
        if "node" in self.needs and self.base != "node":
            parts.append(
                SQL(" JOIN node AS {0} ON {0}.node_id = {1}").format(self.node, self.node_id)
            )
        left = SQL(" LEFT JOIN {0} AS {1} ON {1}.node_id = {2}")
        if "content" in self.needs and self.base != "content":
            table = Identifier("physical_content")
            parts.append(left.format(table, self.content, self.node_id))
        if "asset" in self.needs:
            parts.append(left.format(Identifier("virtual_asset"), self.asset, self.node_id))
        return SQL("").join(parts)


def base_of(condition: Condition | None) -> Literal["node", "content"]:
    """Begin at the content where only nodes with bytes can be meant: one join less."""
    return "content" if condition is not None and _has_bytes(condition) else "node"


def _has_bytes(condition: Condition) -> bool:
    own = (condition.media_type, condition.extension, condition.size_bytes, condition.create_time)
    if any(part is not None for part in own):
        return True
    if condition.is_physical or condition.is_deleted or condition.is_blacklisted:
        return True
    return any(_has_bytes(part) for part in condition.all or ())
