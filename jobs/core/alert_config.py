"""Whom to tell of what: it owns the section [jobs.alerts] of drystone.toml and secrets in files.

    [jobs.alerts]
    store_every_s = 60                     # how often the store is asked for warnings; 0 is never

    [[jobs.alerts.channel]]
    name = "ops"
    kind = "webhook"                       # or command, mail
    events = ["failure", "disk", "quota", "backup"]
    url = "https://example.org/hook"
    secret_file = "hook.secret"            # beside drystone.toml, mode 0600
    ca_file = "our-ca.pem"                 # where the system's authorities did not sign its TLS

An event belongs to topics by its type; a channel gets the events of its topics, or of types that
it names itself (`processing.completed`). Secrets are read from files when they are needed, and
never kept, shown or passed as arguments.
"""

from __future__ import annotations

import os
import stat
from typing import Annotated, Literal

from pydantic import Field, model_validator

from base.config import read_config
from base.errors import ConfigError
from base.logging.secrets import hide
from base.model import Document
from sql import former_name

SECRET_SIZE_BYTES_MAX = 4096
CHANNELS_MAX = 20
LOOPBACK = ("localhost", "127.0.0.1", "::1")

TOPICS: dict[str, frozenset[str]] = {
    "failure": frozenset(
        {
            "processing.failed",
            "processing.partial",
            "schedule.failed",
            "pipeline.failed",
            "inbox.refused",
            "request.failed",
            "webhook.paused",
        }
    ),
    "disk": frozenset({"disk.missing", "disk.failing", "loss.found", "store.warning"}),
    "quota": frozenset({"space.low"}),
    "backup": frozenset({"backup.failed", "backup.old"}),
    "gate": frozenset({"processing.waiting", "gpu.not_woken"}),
}
"""What people subscribe to, and the types of events that belong to it."""

Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,40}$")]
Address = Annotated[
    str, Field(pattern=r"^[^\s@,<>\x00-\x1f]+@[^\s@,<>\x00-\x1f]+$", max_length=254)
]


class Channel(Document):
    """One way to tell somebody; which fields it needs depends on `kind`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
    kind: Literal["command", "webhook", "mail"]
    events: tuple[Kind, ...] = ("failure", "disk", "quota", "backup")
    command: tuple[str, ...] = ()
    url: Annotated[str, Field(pattern=r"^(https?://[^\s\x00-\x1f]+)?$", max_length=2000)] = ""
    secret_file: str = ""
    ca_file: str = ""
    """PEM of the authorities that alone are trusted; empty for those of the system."""
    host: str = ""
    port: Annotated[int, Field(ge=1, le=65_535)] = 25
    tls: Literal["none", "starttls", "tls"] = "none"
    user: str = ""
    password_file: str = ""
    sender: Address | Literal[""] = ""
    to: tuple[Address, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Channel:
        needed = {"command": ("command",), "webhook": ("url",), "mail": ("host", "sender", "to")}
        missing = [name for name in needed[self.kind] if not getattr(self, name)]
        if missing:
            raise ValueError(f"a channel of kind {self.kind} needs {' and '.join(missing)}")
        if bool(self.user) != bool(self.password_file):
            raise ValueError("user and password_file belong together")
        if self.user and self.tls == "none" and self.host not in LOOPBACK:
            raise ValueError('a password needs tls = "starttls" or "tls", unless host is this one')
        return self

    def wants(self, kind: str) -> bool:
        """Tell whether events of this type come here; it may be named as it was before."""
        names = (kind, former_name(kind))
        return any(word in names or kind in TOPICS.get(word, ()) for word in self.events)


class AlertsConfig(Document):
    """The section with paths made absolute."""

    channel: Annotated[tuple[Channel, ...], Field(max_length=CHANNELS_MAX)] = ()
    store_every_s: Annotated[float, Field(ge=0)] = 60.0
    backup_age_max_h: Annotated[float, Field(gt=0)] = 50.0

    @model_validator(mode="after")
    def _unique(self) -> AlertsConfig:
        names = [channel.name for channel in self.channel]
        if len(set(names)) != len(names):
            raise ValueError("two channels have the same name")
        return self

    def channels_of(self, kind: str) -> list[str]:
        """Return the names of the channels that get events of this kind."""
        return [channel.name for channel in self.channel if channel.wants(kind)]


def load_alerts_config(path: str) -> AlertsConfig:
    """Read the section; ConfigError names the field that is wrong and never shows its value."""
    file = read_config(path)
    config = file.checked(AlertsConfig, "jobs", "alerts")
    channels = tuple(
        channel.model_copy(
            update={
                name: file.absolute(given)
                for name in ("secret_file", "ca_file", "password_file")
                if (given := getattr(channel, name))
            }
        )
        for channel in config.channel
    )
    return config.model_copy(update={"channel": channels})


def read_secret(path: str) -> bytes:
    """Return what a file of mode 0600 that is ours holds, without white space around it.

    ConfigError says what is wrong with the file and shows nothing of it.
    """
    try:
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())
            secret = file.read(SECRET_SIZE_BYTES_MAX + 1).strip()
    except OSError as error:
        raise ConfigError(f"the secret file {path} cannot be read: {error.strerror}") from error
    if stat.S_IMODE(state.st_mode) & 0o077 or state.st_uid != os.geteuid():
        raise ConfigError(f"others may read the secret file {path}: chown it to you and chmod 600")
    if not secret or len(secret) > SECRET_SIZE_BYTES_MAX:
        raise ConfigError(f"the secret file {path} must hold 1 to {SECRET_SIZE_BYTES_MAX:,} bytes")
    hide(secret.decode("utf-8", "replace"))
    return secret
