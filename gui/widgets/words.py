"""Words and tones of states: it owns how each state is shown, the same on every page."""

from __future__ import annotations

from gui.widgets.blocks import Tone

AREA_NAMES = {"3a": "inbox", "3b": "outbox", "3c": "stage", "3d": "exports"}

_TONES: dict[str, Tone] = {
    "online": "good", "ok": "good", "done": "good", "sealed": "good", "confirmed": "good",
    "packed": "good", "described": "info", "stored": "info", "frozen": "info", "running": "info",
    "queued": "", "waiting": "warn", "open": "", "partial": "warn", "incomplete": "warn",
    "draining": "info", "readonly": "warn", "suspect": "warn", "degraded": "warn",
    "missing": "bad", "failing": "bad", "failed": "bad", "stopped": "bad", "gone": "bad",
    "retired": "muted", "cancelled": "muted", "warn": "warn", "refuse": "bad", "emergency": "bad",
}  # fmt: skip


def state_tone(state: str) -> Tone:
    """Return the tone of a state's word."""
    return _TONES.get(state, "")


def storage_state(state: str) -> tuple[str, Tone]:
    """Return what the engine's verdict means, and its tone."""
    words = {
        "ok": "Whole",
        "degraded": "Not whole",
        "failed": "Unreadable parts",
    }
    return words.get(state, state), state_tone(state)
