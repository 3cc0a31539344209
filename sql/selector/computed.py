"""Computed values as people write them: a CASE over the conditions of a selector.

The value of a node is that of the first case whose condition it fulfils, else `otherwise`, else
unknown. How it becomes SQL: `sql.selector.compile_computed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from sql.selector.selector import Condition, Selector
from sql.selector.values import Part

CASES_MAX = 50

CaseValue = StrictBool | StrictInt | StrictFloat | StrictStr


class Case(Part):
    """One case: the value of the nodes that fulfil a condition of a selector."""

    where: Condition
    then: CaseValue


class Computed(Part):
    """The value of one column, computed from what the database knows of a node."""

    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=CASES_MAX)]
    otherwise: CaseValue | None = None

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        Selector(
            version=1,
            where=Condition(any=tuple(case.where for case in self.cases)),
            include_deleted=True,
            include_blacklisted=True,
        )
        return self

    def values(self) -> Iterator[tuple[str, CaseValue]]:
        """Yield every value that it may give, with its path."""
        for number, case in enumerate(self.cases):
            yield f"cases[{number}].then", case.then
        if self.otherwise is not None:
            yield "otherwise", self.otherwise


def selector_of(computed: Mapping[str, Computed]) -> Selector:
    """Return a selector that has every condition: it names all that the database must know."""
    conditions = tuple(case.where for one in computed.values() for case in one.cases)
    # Not checked as one: the limits hold for each column.
    where = Condition.model_construct({"any"}, any=conditions)
    return Selector.model_construct({"version", "where"}, version=1, where=where)
