"""docs/settings.md names every section and every key of drystone.toml, with its default."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from adapters.actions.contract.config import ActionsConfig
from adapters.ingest.config import IngestConfig
from adapters.receive.config import ReceiveConfig
from adapters.schemas.config import SchemasConfig
from base.logging.config import LogConfig, TelemetryConfig
from fsd.disks.config import (
    FOREIGN_SECTIONS,
    AlertsConfig,
    AreasConfig,
    Config,
    DiskConfig,
    MetricsConfig,
    QuotaConfig,
    StoreConfig,
)
from gui.core.config import GuiConfig
from jobs.core.alert_config import AlertsConfig as JobsAlertsConfig
from jobs.core.alert_config import Channel
from jobs.core.config import (
    OTHERS,
    ArrivalAction,
    GpuConfig,
    JobsConfig,
    WebhooksConfig,
    WorkerGroup,
)
from jobs.runners.settings import RunnerSettings, Volume
from sql.core.config import DatabaseConfig

DOCUMENT = os.path.join(os.path.dirname(os.path.dirname(__file__)), "docs", "settings.md")
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
NOT_WRITTEN = {"root", "store", "quota", "areas", "alerts", "metrics", "log", "telemetry", "disk"}
"""Fields of the whole: filled in by the code, or sections of their own."""

# The models of [database] and [gui] are those that the frozen configurations inherit from.
SECTIONS: dict[str, type[Any] | None] = {
    "At the top": Config,
    "`[[disk]]`": DiskConfig,
    "`[store]`": StoreConfig,
    "`[quota]`": QuotaConfig,
    "`[areas]`": AreasConfig,
    "`[alerts]`": AlertsConfig,
    "`[metrics]`": MetricsConfig,
    "`[log]`": LogConfig,
    "`[telemetry]`": TelemetryConfig,
    "`[database]`": DatabaseConfig.__base__,
    "`[ingest]`": IngestConfig,
    "`[receive]`": ReceiveConfig,
    "`[schemas]`": SchemasConfig,
    "`[actions]`": ActionsConfig,
    "`[jobs]`": JobsConfig,
    "`[[jobs.actions_on_arrival]]`": ArrivalAction,
    "`[jobs.workers.NAME]`": WorkerGroup,
    "`[jobs.gpu]`": GpuConfig,
    "`[jobs.webhooks]`": WebhooksConfig,
    "`[jobs.alerts]`": JobsAlertsConfig,
    "`[[jobs.alerts.channel]]`": Channel,
    "`[jobs.runners]`": RunnerSettings,
    "`[jobs.runners.k8s_volume]`": Volume,
    "`[gui]`": GuiConfig.__base__,
}


def _sections() -> dict[str, str]:
    with open(DOCUMENT, encoding="utf-8") as file:
        pieces = file.read().split("\n## ")[1:]
    return {head: text for head, _, text in (piece.partition("\n") for piece in pieces)}


def _written(field: FieldInfo) -> str | None:
    """Return how the default stands in the document; None where it is said in words."""
    value = field.default
    if field.is_required():
        return "required"
    if field.default_factory is not None or isinstance(value, BaseModel):
        return None
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int):
        return f"`{value:_}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{one}"' for one in value) + "]`"  # pyright: ignore
    return f"`{value!r}`"


def test_it_has_the_sections_that_there_are():
    assert list(_sections()) == list(SECTIONS)


@pytest.mark.parametrize("head", SECTIONS)
def test_it_names_every_key_and_its_default(head: str):
    model = SECTIONS[head]
    assert model is not None
    skipped: set[str] = NOT_WRITTEN if model in (Config, JobsConfig) else set()
    fields = {name: field for name, field in model.model_fields.items() if name not in skipped}
    rows = {name: default for name, default, _ in ROW.findall(_sections()[head])}
    assert list(rows) == list(fields)
    for name, field in fields.items():
        wanted = _written(field)
        assert wanted is None or rows[name] == wanted, f"{name} in {head}"


def test_no_other_section_is_accepted():
    """A misspelt section is an error, and not a setting that nobody reads."""
    named = {head.strip("`[]").split(".")[0] for head in SECTIONS if head.startswith("`")}
    own = {"disk", "store", "quota", "areas", "alerts", "metrics", "log", "telemetry"}
    assert named == {*FOREIGN_SECTIONS, *own}
    below = {head.strip("`[]").split(".")[1] for head in SECTIONS if head.startswith("`[jobs.")}
    assert set(OTHERS) == below - {"workers", "gpu", "webhooks"}
