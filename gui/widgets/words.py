"""Words and tones of states: how each state is shown, the same on every page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from gui.widgets.blocks import Tone, badge

AREA_NAMES = {"3a": "inbox", "3b": "outbox", "3c": "stage", "3d": "exports"}

_WORDS = {
    "waiting_gpu_ready": "waits for GPU",
    "waiting_approval": "waits for approval",
    "waiting_space": "waits for space",
    "waiting_labels": "waits for labels",
    "asleep": "not ready", "waking": "is waking", "provisional": "waits for an answer",
}  # fmt: skip

_TONES: dict[Tone, str] = {
    "good": "ok fits online done sealed confirmed packed ready active on fired",
    "info": "described stored accepted frozen running draining replaying info",
    "warn": "waiting waits partial incomplete readonly suspect degraded warn warning waking "
    "paused waiting_gpu_ready waiting_approval waiting_space waiting_labels provisional",
    "bad": "missing never failing failed stopped gone refuse emergency critical lost "
    "retry disabled open",
    "muted": "retired cancelled asleep off skipped rejected former",
}
_TONE_OF: dict[str, Tone] = {word: tone for tone, words in _TONES.items() for word in words.split()}


def state_tone(state: str) -> Tone:
    """Return the tone of a state's word."""
    return _TONE_OF.get(state, "")


def state_words(state: str) -> str:
    """Return a state as it is shown."""
    return _WORDS.get(state, state)


def state_badge(state: str) -> None:
    """Show a state with its tone."""
    badge(state_words(state), state_tone(state))


def listed(value: object) -> str:
    """Return a value of a document for reading, such as `name: photos, tags: a, b`."""
    if isinstance(value, Mapping):
        named = cast("Mapping[object, object]", value).items()
        said = ((str(name).replace("_", " "), listed(one)) for name, one in named)
        return ", ".join(f"{name}: {one}" for name, one in said if one)
    if isinstance(value, list | tuple):
        return ", ".join(map(listed, cast("Sequence[object]", value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def storage_state(state: str) -> tuple[str, Tone]:
    """Return what the engine's verdict means, and its tone."""
    words = {
        "ok": "Whole",
        "degraded": "Not whole",
        "failed": "Unreadable parts",
    }
    return words.get(state, state), state_tone(state)
