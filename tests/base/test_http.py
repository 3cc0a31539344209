"""HTTP between our processes: over sockets whose paths are short and long, and over TCP."""

from __future__ import annotations

import http.server
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from base.network.http import SOCKET_PATH_SIZE_BYTES_MAX, connection, listen


class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


class UnixServer(http.server.HTTPServer):
    address_family = socket.AF_UNIX

    def get_request(self):
        return self.socket.accept()[0], ("unix", 0)


@contextmanager
def serving(listener: socket.socket) -> Iterator[None]:
    server = UnixServer("", Echo, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(address: str) -> bytes:
    opened = connection(address, 20)
    try:
        opened.request("GET", "/v1/a")
        return opened.getresponse().read()
    finally:
        opened.close()


@pytest.mark.parametrize("length", [50, SOCKET_PATH_SIZE_BYTES_MAX, 108, 400])
def test_a_socket_is_reached_whatever_its_path_is_long(short_tmp: str, length: int):
    folder = short_tmp
    while length - len(folder) > 80:
        folder = os.path.join(folder, "d" * min(200, length - len(folder) - 20))
    path = os.path.join(folder, "s" * (length - len(folder) - 1))
    os.makedirs(folder, exist_ok=True)
    assert len(path) == length
    before = os.umask(0)
    os.umask(before)
    with serving(listen(path)):
        assert asked(path) == b"/v1/a"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with serving(listen(path)):  # What is there is stale.
        assert asked(path) == b"/v1/a"
    assert os.umask(before) == before
    with pytest.raises(ConnectionRefusedError):
        asked(path)


def test_what_cannot_be_listened_on_leaves_the_mask(short_tmp: str):
    before = os.umask(0o022)
    try:
        for path in (f"{short_tmp}/none/s", f"{short_tmp}/{'n' * 200}/s"):
            with pytest.raises(FileNotFoundError):
                listen(path)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_tcp_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with serving(listener):
            assert asked(f"http://127.0.0.1:{port}") == b"/v1/a"
