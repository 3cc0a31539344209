"""What an error could let slip."""

from __future__ import annotations

import traceback


def shows(error: BaseException, secret: str) -> bool:
    """Tell whether a secret is in the message, or in the messages of what caused it."""
    lines = [line for part in chain(error) for line in traceback.format_exception_only(part)]
    return any(secret in line for line in lines)


def chain(error: BaseException) -> list[BaseException]:
    return [error, *(chain(error.__cause__) if error.__cause__ else [])]
