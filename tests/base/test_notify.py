"""Webhooks as receivers check them, with the library of Standard Webhooks; commands that are told.

What a command or receiver may do wrong is tested where alerts are made (`test_alerts`,
`test_deliver`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import sys
import threading
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from base.errors import ConfigError
from base.network.notify import tell_command, tell_webhook
from base.network.post import NotDeliveredError
from fsd.disks.config import AlertsConfig
from fsd.watch.alerts import send as send_of_store
from jobs.core.alert_config import Channel
from jobs.notify.send import send as send_of_jobs

DOCUMENT = {"id": "0f-12-web", "kind": "test", "subject": "a \x1b[2J\udcff", "attempt": 1}
PLAIN = b"a secret that nobody else has"
WRITTEN = b"whsec_" + base64.b64encode(b"24 bytes of a real secret")


class Hook(http.server.ThreadingHTTPServer):
    """A receiver; what it got lies in `got`."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), Receiver)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def verifier(secret: bytes) -> Webhook:
    return Webhook(secret.decode() if secret.startswith(b"whsec_") else secret)


@pytest.mark.parametrize("secret", [PLAIN, WRITTEN, b"\xff\x00raw"])
def test_the_library_of_receivers_takes_our_signature(hook: Hook, secret: bytes):
    tell_webhook(hook.url, DOCUMENT, secret=secret)
    ((headers, body),) = hook.got
    assert verifier(secret).verify(body, headers) == DOCUMENT
    with pytest.raises(WebhookVerificationError):
        verifier(secret).verify(body.replace(b"test", b"tent"), headers)
    with pytest.raises(WebhookVerificationError):
        verifier(b"another").verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        verifier(secret).verify(body, {**headers, "webhook-id": "another"})


@pytest.mark.parametrize("secret", [PLAIN, WRITTEN])
def test_store_and_jobs_sign_the_same_and_as_they_did_for_one_release(
    hook: Hook, tmp_path, secret: bytes
):
    path = tmp_path / "hook.secret"
    path.touch(mode=0o600)
    path.write_bytes(secret + b"\n")
    send_of_store(AlertsConfig(webhook=hook.url, secret_file=str(path)), "webhook", DOCUMENT)
    channel = {"name": "web", "kind": "webhook", "url": hook.url, "secret_file": str(path)}
    send_of_jobs(Channel.model_validate(channel), DOCUMENT)
    for headers, body in hook.got:
        assert verifier(secret).verify(body, headers) == DOCUMENT
        assert headers["webhook-id"] == headers["X-Drystone-Id"] == DOCUMENT["id"]
    (of_store, body), (of_jobs, _) = hook.got
    former = hmac.new(secret, body, hashlib.sha256).hexdigest()
    assert of_store["X-Drystone-Signature"] == f"sha256={former}"
    time_text = of_jobs["webhook-timestamp"]
    former = hmac.new(secret, time_text.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert of_jobs["X-Drystone-Signature"] == f"t={time_text},v1={former}"


def test_without_a_secret_there_is_no_signature(hook: Hook):
    tell_webhook(hook.url, DOCUMENT)
    ((headers, _),) = hook.got
    assert headers["webhook-id"] == DOCUMENT["id"] and headers["webhook-timestamp"].isdigit()
    assert not {"webhook-signature", "X-Drystone-Signature", "X-Drystone-Id"} & set(headers)


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_not base64"])
def test_a_secret_that_is_none_sends_nothing(hook: Hook, secret: bytes):
    with pytest.raises(ConfigError, match="goes on in base64") as caught:
        tell_webhook(hook.url, DOCUMENT, secret=secret)
    assert hook.got == [] and "not base64" not in str(caught.value)


def test_a_command_gets_the_document_and_is_heard(tmp_path):
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    command = [sys.executable, "-c", f"{code}; print('thanks\\x1b')", str(tmp_path / "told")]
    assert tell_command(command, DOCUMENT) == "thanks\\x1b"
    assert json.loads((tmp_path / "told").read_bytes()) == DOCUMENT
    with pytest.raises(NotDeliveredError, match=r"'/bin/sh' ended with 3: no"):
        tell_command(["/bin/sh", "-c", "echo no; exit 3"], DOCUMENT)
    with pytest.raises(NotDeliveredError, match=r"'/bin/sleep' did not end within 0\.2 s"):
        tell_command(["/bin/sleep", "60"], DOCUMENT, 0.2)
