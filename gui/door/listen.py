"""The listening socket of the public port, by its settings."""

from __future__ import annotations

import socket

from base.errors import UsageError
from gui.core.config import PORT_USUAL, GuiConfig

LISTEN_BACKLOG = 1_024
"""Many may knock at once; the kernel's own limit is usually higher."""


def address_of(listener: socket.socket) -> str:
    """Return the address of a listening socket, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    shown = "127.0.0.1" if host == "0.0.0.0" else "[::1]" if host == "::" else host
    if ":" in shown and not shown.startswith("["):
        shown = f"[{shown}]"
    return f"http://{shown}:{port}"


def listener_of(config: GuiConfig) -> socket.socket:
    """Open the socket. UsageError when the address or the port cannot be had."""
    if config.port is not None:
        return _bound(config.host, config.port)
    try:
        return _bound(config.host, PORT_USUAL)
    except UsageError:
        return _bound(config.host, 0)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise UsageError(f"gui.host {host!a} is no address: {error.strerror}") from error
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        # Now: of two that bound the same port, only one may listen, and must know it here.
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{host} port {port} cannot be listened on: {error.strerror}; "
            "set another port in [gui] of drystone.toml"
        ) from error
    return listener
