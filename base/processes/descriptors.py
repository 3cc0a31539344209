"""Waiting for file descriptors, however many the process has open."""

from __future__ import annotations

import select
from typing import Protocol, TypeAlias


class HasDescriptor(Protocol):
    """A file, a socket, a pipe of a process."""

    def fileno(self) -> int:
        """Return the descriptor."""
        ...


Descriptor: TypeAlias = int | HasDescriptor


def wait_readable(*descriptors: Descriptor, timeout_s: float | None = None) -> list[Descriptor]:
    """Return those of the descriptors that can be read, or have ended; none after the timeout.

    `select.select` would do, but for descriptors above 1,023: it refuses them, and a process with a
    thousand connections has them.
    """
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    ready = {number for number, _ in poll.poll(None if timeout_s is None else 1000 * timeout_s)}
    return [one for one in descriptors if _number(one) in ready]


def _number(descriptor: Descriptor) -> int:
    return descriptor if isinstance(descriptor, int) else descriptor.fileno()
