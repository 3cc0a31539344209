"""An application served by a real server: it owns the socket and the thread of a test."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any

import uvicorn


class Served:
    """An application in a thread, on a port of the loopback or a listener of the test's."""

    def __init__(self, app: Any, listener: socket.socket | None = None) -> None:
        self.listener = listener or socket.create_server(("127.0.0.1", 0))
        name = self.listener.getsockname()
        self.address = name if listener else f"http://127.0.0.1:{name[1]}"
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def run(self) -> None:
        asyncio.run(self.server._serve([self.listener]))

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()
