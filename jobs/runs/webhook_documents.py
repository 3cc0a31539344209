"""What is said and answered about webhooks, and what of it is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import Field

from base.errors import UsageError
from base.model import Document, RowId

Authentication = Literal["none", "bearer", "basic", "mutual_tls"]
PEM_SIZE_MAX = 100_000
OVERLAP_H = 24.0


class NewWebhookRequest(Document):
    """A webhook to be."""

    name: Annotated[
        str,
        Field(
            title="Name",
            pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
            description="Its name: a-z, 0-9, '.', '_' and '-'.",
        ),
    ]
    url: Annotated[
        str,
        Field(
            title="URL",
            pattern=r"^https?://[!-~]+$",
            max_length=2_000,
            description="Where it listens: https://..., or http:// without a credential.",
        ),
    ]
    types: Annotated[
        tuple[str, ...],
        Field(
            title="Types of events",
            max_length=50,
            description="Told of these types only; again for several.",
        ),
    ] = ()
    selector: Annotated[
        Any,
        Field(
            description="Of events about a batch, only those whose batch has a node of this "
            "selector.",
            json_schema_extra={"type": "object"},
        ),
    ] = None
    authentication: Annotated[
        Authentication,
        Field(title="Authentication", description="How Drystone says who it is."),
    ] = "none"
    credential: Annotated[
        str,
        Field(
            title="Credential",
            max_length=PEM_SIZE_MAX,
            description="A bearer token, NAME:PASSWORD, or PEM of a certificate and its key.",
        ),
    ] = ""
    authorities: Annotated[
        str,
        Field(
            title="Authorities",
            max_length=PEM_SIZE_MAX,
            description="PEM of the authorities that alone are believed.",
        ),
    ] = ""
    batch_max: Annotated[
        int,
        Field(title="Together", ge=1, le=100, description="So many events are told together."),
    ] = 1
    owner: Annotated[
        str | None,
        Field(
            title="Owner",
            max_length=100,
            description="Told what this account may see (only admins name another).",
        ),
    ] = None
    after: Annotated[
        int | None,
        Field(ge=0, le=2**63 - 1, description="Told what came behind this position of the feed."),
    ] = None


class WebhookAnswer(Document):
    """A webhook."""

    name: str
    url: str
    owner: str | None
    """None for the owner of the store."""
    types: list[str]
    selector: dict[str, Any] | None
    authentication: Authentication
    batch_max: int
    state: Literal["active", "failing", "paused"]
    pause_reason: str
    failing_since: datetime | None
    waiting: int
    """Messages on their way."""
    position: int
    create_time: datetime


class MadeWebhook(WebhookAnswer):
    """A webhook, and the secret by which its receiver knows that a message is ours."""

    signing_secret: str


class OneWebhook(Document):
    """Which webhook."""

    name: Annotated[str, Field(max_length=100, description="Its name.")]


class ResumeRequest(OneWebhook):
    """Which webhook, and where it goes on."""

    skip: Annotated[
        bool, Field(title="Pass over the first", description="Pass over its first message.")
    ] = False


class RotateRequest(OneWebhook):
    """Which webhook, and how long the former secret holds."""

    overlap_h: Annotated[
        float,
        Field(
            title="Hours of overlap",
            ge=0,
            le=720,
            description="So many hours the former secret signs, too.",
        ),
    ] = OVERLAP_H


class NewSecret(Document):
    """The secret that signs from now on."""

    signing_secret: str


class DeliveriesRequest(OneWebhook):
    """Which messages of which webhook."""

    state: Annotated[
        Literal["waiting", "done", "withheld", "failed"] | None,
        Field(description="Only those of this state."),
    ] = None
    limit: Annotated[int, Field(ge=1, le=1_000, description="At most so many.")] = 50


class OneDelivery(OneWebhook):
    """Which message of which webhook."""

    delivery_id: Annotated[RowId, Field(description="The message's number.")]


class DeliveryAnswer(Document):
    """A message to a webhook."""

    delivery_id: int
    message_id: UUID
    """`webhook-id` of each try."""
    about: str
    events: int
    state: str
    attempts: int
    not_before: datetime
    """When it is tried next, while it waits."""
    create_time: datetime
    end_time: datetime | None
    status: int | None
    duration_s: float | None
    error: str | None


class WholeDelivery(DeliveryAnswer):
    """A message with what was posted and answered in its last try."""

    request: str | None
    answer: str | None


class TestAnswer(Document):
    """What a receiver answered to a test."""

    status: int | None
    duration_s: float
    answer: str | None
    error: str | None


def check(asked: NewWebhookRequest, batch_max: int) -> None:
    """Raise UsageError for what cannot be told of, or to whom."""
    from base.network.post import NotDeliveredError, trust_of
    from sql import EVENT_TYPES

    if not _is_place(asked.url):
        # It is not quoted: an address is often a secret by itself, and refusals are kept.
        raise UsageError(
            "the url is no address of a receiver: https://HOST/PATH, without a login in it"
        )
    for one in asked.types:
        if one not in EVENT_TYPES:
            raise UsageError(f"there is no type of events {one!a}; docs/events.md lists them")
    if asked.batch_max > batch_max:
        raise UsageError(
            f"at most {batch_max} events are told together; batch_max in [jobs.webhooks] of "
            "drystone.toml allows up to 100"
        )
    if bool(asked.credential) != (asked.authentication != "none"):
        raise UsageError("authentication and credential belong together")
    if not asked.url.startswith("https:") and (asked.credential or asked.authorities):
        raise UsageError("a credential or authorities need an address that begins with https://")
    if asked.authentication == "bearer" and not _is_token(asked.credential):
        raise UsageError("a bearer token is one line of letters, digits and signs without spaces")
    if asked.authentication == "basic" and not _is_login(asked.credential):
        raise UsageError("for basic authentication the credential is one line, NAME:PASSWORD")
    identity = asked.credential if asked.authentication == "mutual_tls" else ""
    if identity or asked.authorities:
        try:
            trust_of(authorities=asked.authorities, identity=identity)
        except NotDeliveredError as error:
            raise UsageError(str(error)) from None


def _is_place(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_place and "@" not in parts.netloc and not parts.fragment


def _is_token(text: str) -> bool:
    return text.isascii() and all("!" <= letter <= "~" for letter in text)


def _is_login(text: str) -> bool:
    return ":" in text.strip(":") and text.isprintable()


def selector_document(asked: Any) -> dict[str, Any] | None:
    """Return the selector as a plain document. Raises UsageError for one that also limits."""
    from sql import read_selector

    if asked is None:
        return None
    selector = read_selector(asked)
    if selector.where is None or selector.limit is not None or selector.sample is not None:
        raise UsageError("the selector of a webhook has a condition (where), no limit or sample")
    return selector.model_dump(mode="json", by_alias=True, exclude_unset=True)
