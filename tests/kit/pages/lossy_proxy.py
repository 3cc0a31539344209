"""A network between a client and a server that loses answers: the server did it, nobody heard."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator

EVENT_END = b"\n\n\r\n"
"""Of a server-sent event that is one chunk."""


class LossyProxy:
    """Passes on one request per connection; the answers of the first `losses` POSTs are lost."""

    def __init__(self, port: int, losses: int) -> None:
        self.losses = losses
        self.lost = 0
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        request = _whole_request(client)
        with socket.create_connection(("127.0.0.1", self._port)) as server:
            head, _, body = request.partition(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"conn")]
            server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            answer = b"".join(iter(lambda: server.recv(1 << 16), b""))
        if request.startswith(b"POST") and self.lost < self.losses:
            self.lost += 1
            return
        client.sendall(answer)


def _whole_request(client: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.recv(1 << 16)
    head, _, body = request.partition(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < sum(lengths):
        body += client.recv(1 << 16)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def lossy(port: int, losses: int) -> Iterator[LossyProxy]:
    """Return a network that loses so many answers."""
    made = LossyProxy(port, losses)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def cutting(port: int, cuts: int) -> Iterator[list[bytes]]:
    """Pass bytes on as they come, and cut the first connections once an event came through.

    Yields a list: the address, and then the requests as they come.
    """
    ended = threading.Event()

    class Pipe(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            nonlocal cuts
            request = _whole_request(self.request)
            seen.append(request)
            with socket.create_connection(("127.0.0.1", port)) as server:
                server.sendall(request.replace(b"keep-alive", b"close"))
                server.settimeout(0.1)
                answer, sent = b"", 0
                while not ended.is_set():
                    try:
                        piece = server.recv(1 << 16)
                    except TimeoutError:
                        continue
                    answer += piece
                    first = answer.find(EVENT_END, answer.find(b"data: ")) + len(EVENT_END)
                    is_cut = cuts > 0 and b"data: " in answer and first >= len(EVENT_END)
                    upto = first if is_cut else len(answer)
                    with contextlib.suppress(OSError):
                        self.request.sendall(answer[sent:upto])
                    sent, cuts = upto, cuts - is_cut
                    if is_cut or not piece:
                        return

    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Pipe) as made:
        seen = [f"http://127.0.0.1:{made.server_address[1]}".encode()]
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        try:
            yield seen
        finally:
            ended.set()
            made.shutdown()
            thread.join()
