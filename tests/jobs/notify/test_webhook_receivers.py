"""Where webhooks may be, whom they believe, and receivers that are hostile."""

from __future__ import annotations

import base64
import contextlib
import re
import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from webhook_place import OWNER, Hook, Place, Receiver, serving

from base.errors import UsageError
from base.network.post import permit_public
from jobs.core.config import WebhooksConfig
from jobs.notify import webhooks as telling
from jobs.runs import webhook_operations as operations
from sql.core.errors import NotFoundError


def test_private_addresses_are_refused_unless_they_are_allowed(place: Place, hook: Hook):
    place.add(hook.url)
    place.happen("run 1")
    place.deliver(WebhooksConfig())
    (waiting,) = place.deliveries()
    assert hook.got == []
    assert waiting.error == (
        "the webhook was not reached: 127.0.0.1 is no public address; allow its network with "
        "allowed_networks in [jobs.webhooks] of drystone.toml"
    )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "::1",
        "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "224.0.0.1",
        "ff02::1", "255.255.255.255", "::127.0.0.1", "fec0::1",
    ],
)  # fmt: skip
def test_what_is_no_public_address(address: str):
    with pytest.raises(OSError, match="no public address"):
        permit_public()(address)


def test_what_is_a_public_address():
    for address in ("93.184.215.14", "2606:4700::1111", "64:ff9b::5db8:d70e"):
        permit_public()(address)
    permit_public(
        WebhooksConfig.model_validate({"allowed_networks": ["fc00::/7"]}).allowed_networks
    )("fc00::1")


def test_a_name_is_resolved_once_and_each_of_its_addresses_is_looked_at(
    place: Place, hook: Hook, monkeypatch: pytest.MonkeyPatch
):
    """Whoever answers a public address first, and ours at the next question, gets nowhere."""
    asked = list[str]()
    port = hook.server_address[1]

    def resolve(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        private = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443)), private]

    place.add(f"http://rebinding.test:{port}/")
    place.happen("run 1")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    place.deliver(WebhooksConfig())
    monkeypatch.undo()
    assert hook.got == [] and asked == ["rebinding.test"]
    assert "127.0.0.1 is no public address" in place.deliveries()[0].error


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made with openssl")
    return Authority(str(tmp_path_factory.mktemp("authority")), "ours")


def read(*paths: str) -> str:
    return "".join(Path(path).read_text() for path in paths)


def test_it_says_who_it_is_to_whom_it_believes(place: Place, authority: Authority):
    context = authority.server()
    context.load_verify_locations(authority.path("pem"))
    context.verify_mode = ssl.CERT_OPTIONAL
    identity = authority.leaf("DNS:drystone")
    shown = list[Any]()
    ours = read(authority.path("pem"))
    with serving(Hook(context)) as server:

        def answer(one: Receiver) -> None:
            assert isinstance(one.connection, ssl.SSLSocket)
            shown.append((one.headers["Authorization"], bool(one.connection.getpeercert())))
            one.say(200)

        server.answer = answer
        given: list[tuple[Any, str]] = [
            ("bearer", "a.token_1"), ("basic", "ann:a b:\u00e9"),
            ("mutual_tls", read(identity.path("pem"), identity.path("key"))),
        ]  # fmt: skip
        for kind, credential in given:
            place.add(
                server.url, kind.replace("_", "-"), authorities=ours, authentication=kind,
                credential=credential,
            )  # fmt: skip
            place.happen("run 1")
            place.deliver()
            asked = operations.OneWebhook(name=kind.replace("_", "-"))
            operations.pause(place.session, OWNER, asked)
        basic = "Basic " + base64.b64encode("ann:a b:\u00e9".encode()).decode()
        assert shown == [("Bearer a.token_1", False), (basic, False), (None, True)]
        # Nothing of a secret is in what is shown.
        told = operations.webhooks(place.session, OWNER, operations.NoRequest())
        assert "a.token_1" not in str(told) and "PRIVATE" not in str(told)


@pytest.mark.fault
def test_a_broken_certificate_is_one_clear_answer(place: Place, authority: Authority):
    with serving(Hook(authority.server("DNS:elsewhere"))) as server:
        place.add(server.url, "other-name", authorities=read(authority.path("pem")))
        place.add(server.url, "not-ours")
        place.happen("run 1")
        place.deliver()
        assert server.got == []
    for name, reason in (
        ("other-name", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("not-ours", "unable to get local issuer certificate"),
    ):
        (waiting,) = place.deliveries(name)
        assert waiting.state == "waiting" and reason in waiting.error
        assert "\n" not in waiting.error


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"url": "https://a:b@example.org/"}, "no address of a receiver"),
        ({"url": "https:///x"}, "no address of a receiver"),
        ({"url": "http://[/x"}, "no address of a receiver"),
        ({"url": "https://example.org:99999/"}, "no address of a receiver"),
        ({"url": "https://example.org/#part"}, "no address of a receiver"),
        ({"types": ["processing.faild"]}, "no type of events 'processing.faild'"),
        ({"authentication": "bearer"}, "authentication and credential belong together"),
        ({"credential": "x"}, "authentication and credential belong together"),
        ({"authentication": "bearer", "credential": "a\r\nX: y"}, "a bearer token is one line"),
        ({"authentication": "basic", "credential": "ann"}, "one line, NAME:PASSWORD"),
        ({"authentication": "mutual_tls", "credential": "x"}, "the certificate and key"),
        ({"authorities": "x"}, "the authorities are not usable"),
        ({"url": "http://example.org/", "authentication": "bearer", "credential": "x"}, "https://"),
        ({"selector": {"version": 1}}, "has a condition"),
        ({"selector": {"version": 1, "where": {"colour": 1}}}, "colour"),
        ({"after": 7}, "never was at 7"),
        ({"owner": "nobody"}, "no user 'nobody'"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_webhook_is_refused_with_one_line(
    place: Place, fields: dict[str, Any], reason: str
):
    with pytest.raises((UsageError, NotFoundError), match=reason):
        place.add(**{"url": "https://example.org/hook", **fields})
    assert place.database.webhooks.webhooks() == []


# ---- Hostile receivers ---------------------------------------------------------------------------


def endless(one: Receiver) -> None:
    """A thousand million bytes, as fast as they are taken."""
    one.send_response(200)
    one.send_header("Content-Length", str(10**9))
    one.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1_000):
            one.wfile.write(bytes(10**6))
        one.server.was_read = True


def dripping(one: Receiver) -> None:
    with contextlib.suppress(OSError):
        while not one.server.ends.wait(0.02):
            one.wfile.write(b"H")


def endless_heads(one: Receiver) -> None:
    one.send_response(200)
    one.flush_headers()
    with contextlib.suppress(OSError):
        while not one.server.ends.wait(0.0):
            one.wfile.write(b"X-More: " + b"y" * 60_000 + b"\r\n")


def redirecting(one: Receiver) -> None:
    one.say(307, Location=one.server.url)


def ending(one: Receiver) -> None:
    one.connection.shutdown(socket.SHUT_RDWR)
    one.close_connection = True


def babbling(one: Receiver) -> None:
    one.wfile.write(b"\x00\xff\r\n\r\n")
    one.close_connection = True


def slow_to_end(one: Receiver) -> None:
    one.server.ends.wait()


@pytest.mark.fault
@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (redirecting, "the webhook answered 307; redirects are not followed"),
        (slow_to_end, "the webhook was not reached: it took longer than 0.5 s"),
        (dripping, "the webhook was not reached: it took longer than 0.5 s"),
        (endless_heads, "the webhook was not reached: got more than 100 headers"),
        (ending, "the webhook was not reached: Remote end closed connection without response"),
        (babbling, "the webhook was not reached: .*"),
        (endless, None),
    ],
)  # fmt: skip
def test_a_hostile_receiver_is_one_line(
    place: Place,
    hook: Hook,
    does: Callable[[Receiver], None],
    reason: str | None,
    monkeypatch: pytest.MonkeyPatch,
):
    is_slow = does in (slow_to_end, dripping)
    monkeypatch.setattr(telling, "TRY_S", 0.5 if is_slow else 60.0)
    hook.answer = does
    place.add(hook.url)
    place.happen("run 1")
    place.deliver()
    told = operations.test(place.session, OWNER, operations.OneWebhook(name="ops"))
    hook.ends.set()
    (found,) = place.deliveries()
    assert len(hook.got) == 2
    if reason is None:
        # What it wanted to say at length was not read.
        assert (found.state, found.status, hook.was_read) == ("done", 200, False)
        return
    assert found.state == "waiting"
    for error in (found.error, told.error):
        assert re.fullmatch(reason, error) and "\n" not in error, error


def test_nobody_there_is_one_line(place: Place):
    place.add("http://nowhere.invalid/", "nowhere")
    with socket.socket() as deaf:
        # It has the port, and does not listen: nobody else can come to listen there.
        deaf.bind(("127.0.0.1", 0))
        place.add(f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        place.happen("run 1")
        place.deliver()
    assert "Connection refused" in place.deliveries()[0].error
    assert place.deliveries("nowhere")[0].error.startswith("the webhook was not reached: ")
