"""Servers that are told of alerts: it owns a small web and a small mail server, no test."""

from __future__ import annotations

import contextlib
import email
import http.server
import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.policy import default


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers what its server says, and keeps what it got."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        document = json.loads(body)
        self.server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]
        status = self.server.answer(document)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server(
    answer: Callable[[dict], int] = lambda _: 200, context: ssl.SSLContext | None = None
) -> Iterator:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = False
    server.got, server.answer = [], answer  # type: ignore[attr-defined]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield server


class MailSession(socketserver.StreamRequestHandler):
    """As much of SMTP as a client that sends one mail needs."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # They do not trust us.
            self.talk()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()

    def talk(self) -> None:
        server = self.server
        self.say("220 here")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            server.heard.append(line)  # type: ignore[attr-defined]
            if verb == b"DATA":
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line.removeprefix(b"."))
                server.mails.append(email.message_from_bytes(b"".join(lines), policy=default))  # type: ignore[attr-defined]
                self.say("250 taken")
            elif verb == b"EHLO":
                extensions = ["here", *server.extensions, "AUTH PLAIN"]  # type: ignore[attr-defined]
                lines = [f"250-{extension}" for extension in extensions]
                self.say("\r\n".join([*lines[:-1], f"250 {extensions[-1]}"]))
            elif verb == b"STARTTLS":
                self.say("220 go on")
                self.wrap(server.context)  # type: ignore[attr-defined]
            elif verb == b"RCPT" and b"nobody" in line:
                self.say("550 unknown")
            elif verb == b"AUTH":
                self.say("235 welcome")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def wrap(self, context: ssl.SSLContext) -> None:
        self.rfile.close()
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


@contextmanager
def mail_server(
    context: ssl.SSLContext | None = None, *, at_once: bool = False, says_so: bool = True
) -> Iterator:
    """Serve mail; with a context over TLS, from the start on or after STARTTLS."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailSession)
    server.daemon_threads = False
    server.mails, server.heard = [], []  # type: ignore[attr-defined]
    server.context = context  # type: ignore[attr-defined]
    server.extensions = ["STARTTLS"] if context and says_so and not at_once else []  # type: ignore[attr-defined]
    if context is not None and at_once:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield server


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def port_of(server: socketserver.BaseServer) -> int:
    return server.server_address[1]
