"""Keys of classes: it owns which key stands for which class, the same for everybody. Pure.

Digits for the first nine; then a letter of the name, or else any that is free. Letters that the
pages use themselves are left out, and so is a class for which no key is left: it has its button.
"""

from __future__ import annotations

from collections.abc import Sequence

DIGITS = "123456789"
TAKEN = frozenset("gtsundz")
"""Go to, theme, skip, undo, new box, delete, undo of an edit."""
_LETTERS = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in TAKEN]


def keys_of(classes: Sequence[str]) -> list[str]:
    """Return the key of each class, in their order; empty for those without one."""
    free = list(_LETTERS)
    keys: list[str] = []
    for number, name in enumerate(classes):
        if number < len(DIGITS):
            keys.append(DIGITS[number])
            continue
        key = next((letter for letter in name.lower() if letter in free), "".join(free[:1]))
        if key:
            free.remove(key)
        keys.append(key)
    return keys
