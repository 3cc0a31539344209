"""Which warnings are news: it owns telling new, worse and ended ones apart, as pure state.

A warning is raised when it has been there without a break for `raise_after_s`, once, and ended when
it has been away for `end_after_s`. What comes and goes faster is either never raised or never
ended: flapping makes no noise. One that turns critical is raised again.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fsd.documents.models import Notice

Event = Literal["raised", "ended"]
SEVERITIES = ("info", "warning", "critical")
_SUBJECT = re.compile(r"(?:disk|area) (\S+)")
_FREE_TEXT_CODES = frozenset({"note"})


@dataclass(slots=True)
class Known:
    """One warning, as last seen. `raised` is the severity that was told, empty before."""

    code: str
    severity: str
    message: str
    advice: str
    first_s: float
    last_s: float
    raised: str = ""


def identify(notice: Notice) -> str:
    """Return what makes it the same warning: its kind and its disk or area, not its numbers."""
    if notice.code in _FREE_TEXT_CODES:
        return f"{notice.code} {notice.message}"
    if notice.subject:
        return f"{notice.code} {notice.subject}"
    subject = _SUBJECT.match(notice.message)
    return f"{notice.code} {subject[1]}" if subject else notice.code


class AlertBook:
    """The warnings that are there or were a moment ago. Times are seconds of one clock."""

    def __init__(self, raise_after_s: float, end_after_s: float) -> None:
        self._raise_after_s = raise_after_s
        self._end_after_s = end_after_s
        self._known: dict[str, Known] = {}

    def update(self, notices: Iterable[Notice], now_s: float) -> list[tuple[Event, Known]]:
        """Take what is warned of now; return what is news, warnings that end first."""
        present: set[str] = set()
        for notice in notices:
            if notice.severity != "info":
                present.add(self._see(notice, now_s))
        ended = [("ended", known) for known in self._take_ended(present, now_s)]
        raised = [
            ("raised", known)
            for identity, known in self._known.items()
            if identity in present and self._is_news(known, now_s)
        ]
        for _, known in raised:
            known.raised = known.severity
        return [*ended, *raised]  # pyright: ignore[reportReturnType]

    def dump(self) -> dict[str, Any]:
        """Return what was raised and has not ended, as plain JSON."""
        return {name: asdict(known) for name, known in self._known.items() if known.raised}

    def load(self, document: dict[str, Any], now_s: float) -> None:
        """Take up what `dump` returned: what was raised before a restart is no news after it."""
        for name, row in document.items():
            fields: dict[str, Any] = {**row, "last_s": now_s}
            self._known[name] = Known(**fields)

    def _see(self, notice: Notice, now_s: float) -> str:
        identity = identify(notice)
        known = self._known.get(identity)
        if known is None:
            texts = (notice.code, notice.severity, notice.message, notice.advice)
            self._known[identity] = Known(*texts, now_s, now_s)
        else:
            known.severity, known.message = notice.severity, notice.message
            known.advice, known.last_s = notice.advice, now_s
        return identity

    def _take_ended(self, present: set[str], now_s: float) -> list[Known]:
        ended: list[Known] = []
        for identity in [name for name in self._known if name not in present]:
            known = self._known[identity]
            if not known.raised:
                # It was away before it was old enough: a new one begins from its beginning.
                del self._known[identity]
            elif now_s - known.last_s >= self._end_after_s:
                ended.append(self._known.pop(identity))
        return ended

    def _is_news(self, known: Known, now_s: float) -> bool:
        if not known.raised:
            return now_s - known.first_s >= self._raise_after_s
        return SEVERITIES.index(known.severity) > SEVERITIES.index(known.raised)
