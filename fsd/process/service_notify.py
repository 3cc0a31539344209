"""What a service manager is told: it owns the few words of systemd's notify protocol.

`READY=1` when the service can be used, `WATCHDOG=1` from the loop that must not hang: a service
that stops saying so is restarted. Without a service manager every call does nothing. The protocol
is sd_notify(3): one datagram to the socket that NOTIFY_SOCKET names.
"""

from __future__ import annotations

import contextlib
import os
import socket

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(state: str) -> bool:
    """Send one state; False when nobody asked for it or nobody takes it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    # The name of an abstract socket begins with NUL, which no environment can hold.
    target = "\0" + address[1:] if address[0] == "@" else address
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto(state.encode(), target)
        return True
    return False


def watchdog_interval_s() -> float | None:
    """Return how often WATCHDOG must be said, twice as often as the limit; None when never."""
    try:
        limit_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    meant = os.environ.get("WATCHDOG_PID", "")
    if limit_us <= 0 or meant not in ("", str(os.getpid())):
        return None
    return limit_us / 2_000_000
