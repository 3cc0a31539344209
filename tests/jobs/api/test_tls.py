"""TLS to real servers under a private CA made here: who is not whom we asked gets nothing."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from certificates import Authority
from far_harness import start, write_secret
from receivers import mail_server, port_of, web_server

from base.errors import ConfigError, UsageError
from jobs.core.alert_config import AlertsConfig, Channel, load_alerts_config
from jobs.notify.send import test_document as a_document
from jobs.notify.send import try_channel
from jobs.remote.http import RemoteApi, UntrustedError

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="certificates are made with openssl"
)
PASSWORD = "a password that nobody else has"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(str(tmp_path_factory.mktemp("tls")), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(str(tmp_path_factory.mktemp("tls")), "theirs")


def _webhook(port: int, ca_file: str, host: str = "localhost") -> Channel:
    return Channel(name="web", kind="webhook", url=f"https://{host}:{port}/hook", ca_file=ca_file)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_webhook_under_a_private_authority(ours: Authority, host: str):
    with web_server(context=ours.server()) as server:
        channel = _webhook(port_of(server), ours.path("pem"), host)
        assert try_channel(channel, a_document()) == ""
        assert len(server.got) == 1


def test_a_webhook_of_somebody_else_is_told_nothing(
    ours: Authority, theirs: Authority, tmp_path, monkeypatch
):
    (tmp_path / "none.pem").write_text("no certificate\n")
    with web_server(context=theirs.server()) as server:
        port = port_of(server)
        for ca_file, said in (
            (ours.path("pem"), "CERTIFICATE_VERIFY_FAILED"),
            ("", "CERTIFICATE_VERIFY_FAILED"),
            (str(tmp_path / "gone.pem"), "gone.pem is not usable"),
            (str(tmp_path / "none.pem"), "none.pem is not usable"),
        ):
            assert said in try_channel(_webhook(port, ca_file), a_document())
        assert server.got == []
    with web_server(context=ours.server("DNS:elsewhere.example")) as server:
        refusal = try_channel(_webhook(port_of(server), ours.path("pem")), a_document())
        assert "not valid for 'localhost'" in refusal
        assert server.got == []
    monkeypatch.setattr("base.network.notify.NETWORK_TIMEOUT_S", 0.5)
    with web_server() as server:  # Plain HTTP where TLS was asked for: both wait for the other.
        assert try_channel(_webhook(port_of(server), ours.path("pem")), a_document())
        assert server.got == []


@pytest.fixture
def mail_channel(ours: Authority, tmp_path) -> Callable[..., Channel]:
    password = write_secret(str(tmp_path / "password"), PASSWORD)

    def make(port: int, tls: str, ca_file: str = ours.path("pem")) -> Channel:
        fields = {
            "name": "post", "kind": "mail", "host": "localhost", "port": port, "tls": tls,
            "sender": "drystone@example.org", "to": ["ann@example.org"], "user": "drystone",
            "password_file": password, "ca_file": ca_file,
        }  # fmt: skip
        return Channel.model_validate(fields)

    return make


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_mail_over_tls(ours: Authority, theirs: Authority, mail_channel, tls: str):
    with mail_server(ours.server(), at_once=tls == "tls") as server:
        assert try_channel(mail_channel(port_of(server), tls), a_document()) == ""
        assert len(server.mails) == 1
    for context in (theirs.server(), ours.server("DNS:elsewhere.example")):
        with mail_server(context, at_once=tls == "tls") as server:
            refusal = try_channel(mail_channel(port_of(server), tls), a_document())
            assert "CERTIFICATE_VERIFY_FAILED" in refusal
            assert server.mails == []
            assert not any(line.startswith(b"AUTH") for line in server.heard)


def test_a_mail_server_without_tls_does_not_get_the_password(ours: Authority, mail_channel):
    with mail_server(ours.server(), says_so=False) as server:
        assert "STARTTLS" in try_channel(mail_channel(port_of(server), "starttls"), a_document())
        assert not any(line.startswith(b"AUTH") for line in server.heard)
        assert server.mails == []


def test_a_password_without_tls_stays_on_this_machine(tmp_path):
    path = tmp_path / "drystone.toml"
    text = (
        '[[jobs.alerts.channel]]\nname = "post"\nkind = "mail"\nhost = "mail.example.org"\n'
        'sender = "a@example.org"\nto = ["b@example.org"]\nuser = "a"\npassword_file = "secret"\n'
    )
    path.write_text(text)
    with pytest.raises(ConfigError, match="a password needs tls"):
        load_alerts_config(str(path))
    path.write_text(text.replace("mail.example.org", "localhost") + 'ca_file = "ca.pem"\n')
    found: AlertsConfig = load_alerts_config(str(path))
    assert found.channel[0].ca_file == str(tmp_path / "ca.pem")


# ---- The public port behind a proxy with TLS -----------------------------------------------------


@contextmanager
def _proxy(context: ssl.SSLContext, target: int) -> Iterator[int]:
    """End TLS in front of a port, one request at a time; yields its own."""
    stopping = threading.Event()

    def carry(side: ssl.SSLSocket) -> None:
        with closing(side), socket.create_connection(("127.0.0.1", target)) as other:
            with side.makefile("rb") as reader:
                head = b"".join(iter(reader.readline, b"\r\n")) + b"\r\n"
                length = int(
                    re.findall(rb"(?i)content-length: (\d+)", head + b"content-length: 0")[0]
                )
                other.sendall(head + reader.read(length))
            while data := other.recv(1 << 16):
                side.sendall(data)

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if stopping.is_set():
                    return
                try:
                    carry(context.wrap_socket(connection, server_side=True))
                except OSError:  # They do not trust us.
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.set()
            socket.create_connection(listener.getsockname()).close()
            thread.join()


def test_the_api_over_tls(ours: Authority, theirs: Authority, tmp_path):
    with web_server(lambda _: 204) as server, _proxy(ours.server(), port_of(server)) as port:
        address = f"https://localhost:{port}"
        asked = {"token": 1}
        api = RemoteApi(address, "correct-horse-battery", ours.path("pem"))
        assert api.ask("POST", "/tasks/1/beat", asked) is None
        ((headers, _),) = server.got
        assert headers["Authorization"] == "Bearer correct-horse-battery"
        for ca_file in ("", theirs.path("pem")):
            with pytest.raises(UntrustedError, match="is not trusted"):
                RemoteApi(address, "correct-horse-battery", ca_file).ask("POST", "/x", asked)
        with pytest.raises(UsageError, match="is not usable"):
            RemoteApi(address, "", str(tmp_path / "gone.pem")).ask("POST", "/x", asked)
        assert len(server.got) == 1


def test_a_worker_that_does_not_trust_the_api_says_so_at_once(theirs: Authority, tmp_path):
    token = write_secret(str(tmp_path / "token"), "staple-correct-horse")
    with web_server() as server, _proxy(theirs.server(), port_of(server)) as port:
        worker = start(
            str(tmp_path), "far", "worker", "--queues", "gpu", "--token-file", token,
            "--api", f"https://localhost:{port}", "--redis", "redis://127.0.0.1:9",
            "--stage-root", str(tmp_path),
        )  # fmt: skip
        assert worker.popen.wait(60) == 2, worker.said()
    assert "is not trusted" in worker.said()
    assert worker.said().count("\n") == 1
