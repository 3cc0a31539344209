"""Parameters of an action: it owns what a person may give an AC4, and their one true form.

Equal parameters are equal work, so a default that is written out and one that is left out must
come to the same.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from adapters.actions.contract.contract import ActionContract, Parameter
from base.errors import UsageError

TEXT_LENGTH_MAX = 2_000

Value = str | int | float | bool


def checked_parameters(contract: ActionContract, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all parameters of the action by name, with defaults. UsageError says what is wrong."""
    given = dict(given or {})
    unknown = sorted(set(given) - set(contract.parameters))
    if unknown:
        raise UsageError(_unknown(contract, unknown[0]))
    values: dict[str, Any] = {}
    for name, parameter in sorted(contract.parameters.items()):
        value = given.get(name, parameter.default)
        if value is None:
            raise UsageError(f"action {contract.name} needs a value for the parameter {name}")
        try:
            values[name] = checked_value(parameter, value)
        except ValueError as error:
            raise UsageError(f"the parameter {name} of action {contract.name} {error}") from None
    return values


def checked_value(parameter: Parameter, value: Any) -> Value:
    """Return a value in the parameter's own type, read from text where it is one; ValueError."""
    value = _typed(parameter.type, value)
    if parameter.one_of is not None and value not in parameter.one_of:
        choices = ", ".join(map(str, parameter.one_of))
        raise ValueError(f"is {value!a}; it is one of {choices}")
    if parameter.min is not None and isinstance(value, int | float) and value < parameter.min:
        raise ValueError(f"is {value}; {parameter.min:g} is the least")
    if parameter.max is not None and isinstance(value, int | float) and value > parameter.max:
        raise ValueError(f"is {value}; {parameter.max:g} is the most")
    return value


def _typed(kind: str, value: Any) -> Value:
    if kind == "boolean":
        words = {"true": True, "false": False}
        if isinstance(value, str) and value in words:
            return words[value]
        if isinstance(value, bool):
            return value
        raise ValueError(f"is {value!a}; write true or false")
    if kind == "text":
        if not isinstance(value, str) or len(value) > TEXT_LENGTH_MAX or not value.isprintable():
            raise ValueError(f"is no printable text of at most {TEXT_LENGTH_MAX} characters")
        return value
    return _number(kind, value)


def _number(kind: str, value: Any) -> int | float:
    wanted = "a whole number" if kind == "integer" else "a number"
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = int(value) if kind == "integer" else float(value)
        if number != float(value) or not math.isfinite(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(f"is {str(value)[:60]!a}; write {wanted}") from None
    return number


def _unknown(contract: ActionContract, name: str) -> str:
    if not contract.parameters:
        return f"action {contract.name} ({contract.type}) takes no parameters"
    near = difflib.get_close_matches(name, contract.parameters, 1)
    known = f"did you mean {near[0]}?" if near else f"known: {', '.join(contract.parameters)}"
    return f"action {contract.name} has no parameter {name!a}; {known}"
