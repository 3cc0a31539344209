"""Posting to a receiver of webhooks: where it may be, whom it is believed to be, what it answered.

A name is resolved once for a connection, each address it has is looked at, and one of those is
connected to: nobody can answer one address to the look and another to the connection. Over TLS the
name and the certificate of whoever answers are checked. Redirects are not followed. Of an answer no
more is read than is kept, and a try has one deadline: a receiver that sends a byte now and then, or
without an end, holds nobody.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from base.errors import ConfigError, DrystoneError
from base.network.deadline import Deadline
from base.text import safe_text

SAID_SIZE_MAX = 500
ANSWER_SIZE_BYTES_MAX = 4_096
SECRET_PREFIX = b"whsec_"

Network = IPv4Network | IPv6Network
_TRANSLATED = ip_network("64:ff9b::/96")
"""Addresses of IPv4 behind a translator (RFC 6052): where they lead is in their last four bytes."""


class NotDeliveredError(DrystoneError):
    """It was not taken; the message says why and holds no secret. It may be tried again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered, as far as it is kept, and how long that took."""

    status: int
    said: str
    duration_s: float

    def check(self) -> None:
        """Raise NotDeliveredError unless it was taken."""
        if not 200 <= self.status < 300:
            raise NotDeliveredError(f"the webhook answered {self.status}")


class Poster:
    """Posts to one URL over a connection that is kept between posts; for one thread at a time."""

    def __init__(
        self,
        url: str,
        *,
        trust: ssl.SSLContext | None = None,
        permit: Callable[[str], None] | None = None,
        try_s: float,
        silence_s: float,
    ) -> None:
        """A try ends after `try_s` as a whole, and after `silence_s` without a byte.

        `permit` is asked with each address before any is connected to, and raises OSError.
        Raises NotDeliveredError for a URL that is none.
        """
        try:
            self._parts = urlsplit(url)
        except ValueError as error:
            raise NotDeliveredError(f"the webhook was not reached: {said_of(error)}") from error
        self._trust = trust
        self._permit = permit
        self._try_s, self._silence_s = try_s, silence_s
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Poster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the next post makes a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post once; an answer of any status is one. Raises NotDeliveredError without one."""
        begun_s = time.monotonic()
        try:
            with Deadline(self._try_s) as deadline:
                response, said = self._asked(deadline, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise NotDeliveredError(f"the webhook was not reached: {said_of(error)}") from error
        text = safe_text(said.decode("utf-8", "replace"))
        return Answer(response.status, text, time.monotonic() - begun_s)

    def _asked(
        self, deadline: Deadline, body: bytes, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is not None:
            # It may have been ended by the other side meanwhile. Then nothing was answered, and
            # what is posted has an id by which a receiver can tell a repeat.
            with contextlib.suppress(http.client.RemoteDisconnected, ConnectionError):
                deadline.watch(self._connection.sock)
                return self._exchange(self._connection, body, headers)
            self.close()
        return self._exchange(self._connect(deadline), body, headers)

    def _connect(self, deadline: Deadline) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        kind = http.client.HTTPConnection
        if self._parts.scheme == "https":
            self._trust = self._trust or trust_of("")
            kind = http.client.HTTPSConnection
        made = kind(host, self._parts.port)
        plain = deadline.connect(host, made.port, self._silence_s, self._permit)
        # Head and body are two packets: the second would wait 40 ms for the first to be confirmed.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.sock = plain
        if self._parts.scheme == "https" and self._trust is not None:
            try:
                made.sock = self._trust.wrap_socket(plain, server_hostname=host)
            except BaseException:
                plain.close()
                raise
        self._connection = made
        return made

    def _exchange(
        self, connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        query = f"?{self._parts.query}" if self._parts.query else ""
        connection.request("POST", (self._parts.path or "/") + query, body, dict(headers))
        response = connection.getresponse()
        said = response.read(ANSWER_SIZE_BYTES_MAX)
        if not response.isclosed() or response.will_close:
            # There is more, or the other side is done: it is not read on.
            response.close()
            self.close()
        return response, said


def permit_public(allowed: Sequence[Network] = ()) -> Callable[[str], None]:
    """Return what refuses addresses that are not of the public internet, but for those allowed."""

    def permit(address: str) -> None:
        found = ip_address(address.partition("%")[0])
        reached = _reached(found)
        if any(one in network for one in {found, reached} for network in allowed):
            return
        is_old = reached.version == 6 and (reached.is_site_local or not any(reached.packed[:12]))
        if not reached.is_global or reached.is_multicast or is_old:
            raise OSError(
                f"{address} is no public address; allow its network with allowed_networks in "
                "[jobs.webhooks] of drystone.toml"
            )

    return permit


def _reached(found: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return where an address leads: what is written as one of IPv6 may be one of IPv4."""
    if isinstance(found, IPv4Address):
        return found
    if found in _TRANSLATED:
        return IPv4Address(found.packed[-4:])
    return found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1] or found


def signed_headers(
    secrets: Sequence[bytes], message_id: str, time_s: int, body: bytes
) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with a signature by each secret, if there are any.

    There are two while a secret is being changed: a receiver takes a message that either signed.
    """
    headers = {"webhook-id": message_id, "webhook-timestamp": str(time_s)}
    if secrets:
        signed = b"%s.%d.%s" % (message_id.encode(), time_s, body)
        headers["webhook-signature"] = " ".join(
            "v1," + base64.b64encode(hmac.digest(_key(one), signed, hashlib.sha256)).decode()
            for one in secrets
        )
    return headers


def _key(secret: bytes) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        return secret
    with contextlib.suppress(ValueError):
        if key := base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True):
            return key
    raise ConfigError("a secret that begins with whsec_ goes on in base64")


def trust_of(ca_file: str = "", *, authorities: str = "", identity: str = "") -> ssl.SSLContext:
    """Return what decides whom is believed over TLS: the system's authorities, or these alone.

    `ca_file` names a file of PEM, `authorities` is PEM. `identity`, PEM of a certificate and its
    key, is shown to whoever asks for one. Raises NotDeliveredError for what is none.
    """
    try:
        trust = ssl.create_default_context(cafile=ca_file or None, cadata=authorities or None)
    except (OSError, ValueError) as error:  # An ssl.SSLError, too.
        shown = f"the ca_file {ca_file} is" if ca_file else "the authorities are"
        raise NotDeliveredError(f"{shown} not usable: {said_of(error)}") from error
    if identity:
        _show_identity(trust, identity)
    return trust


def _show_identity(trust: ssl.SSLContext, identity: str) -> None:
    # The library reads files only; this one is in memory, and nobody else can open it.
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, identity.encode("utf-8", "replace"))
        # A key with a password would have it asked on the terminal.
        trust.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    except (OSError, ValueError) as error:
        raise NotDeliveredError(
            f"the certificate and key that are shown are not usable: {said_of(error)}"
        ) from error
    finally:
        os.close(descriptor)


def said_of(error: Exception) -> str:
    """Return what an error of the network says, as one line of bounded length."""
    return safe_text(" ".join(str(error).split()))[:SAID_SIZE_MAX] or type(error).__name__
