"""The formats (S03): scraped folders in, nodes and edges out; and UA_1, which carries them in.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.audit.audit import AuditReport
    from adapters.audit.audit import audit as run_audit
    from adapters.audit.backup_sample import sample_check as backup_sample_check
    from adapters.audit.care import (
        ScrubReport,
        StoreNotice,
        inbox_root,
        mount_root,
        stage_root,
        store_client,
        store_notices,
    )
    from adapters.audit.care import scrub as scrub_store
    from adapters.cli.app import app as cli_app
    from adapters.cli.demo import chapter as demo_chapter
    from adapters.ingest.admission import ingest_states
    from adapters.ingest.dry_run import dry_run as dry_run_folder
    from adapters.ingest.inbox import Waiting as WaitingFolder
    from adapters.ingest.inbox import (
        choose_adapter,
        is_signalled,
        read_signal,
        waiting_folders,
    )
    from adapters.ingest.ingest import ingest as run_ingest
    from adapters.ingest.purge import purge_partner
    from adapters.records.errors import AdapterError, SpaceError
    from adapters.records.folder import ScrapeFolder
    from adapters.records.items import Adapter, Link, MediaFile, Observation, Problem, Record, Sniff
    from adapters.sources.registry import adapter_named, adapter_names, adapters, sniff
    from adapters.thumbnails.thumbnails import EDGE_PX as THUMBNAIL_EDGE_PX
    from adapters.thumbnails.thumbnails import SOURCE_SIZE_BYTES_MAX as THUMBNAIL_SOURCE_BYTES_MAX
    from adapters.thumbnails.thumbnails import (
        SourceFacts,
        ThumbnailReport,
        make_thumbnails,
        source_facts,
    )
    from adapters.thumbnails.worker import ThumbnailWorker
    from adapters.work.batch_work import Signal, check_signal
    from fsd import EngineUnavailableError

_HOMES = {
    "Signal": "adapters.work.batch_work",
    "check_signal": "adapters.work.batch_work",
    "choose_adapter": "adapters.ingest.inbox",
    "WaitingFolder": "adapters.ingest.inbox",
    "is_signalled": "adapters.ingest.inbox",
    "read_signal": "adapters.ingest.inbox",
    "ingest_states": "adapters.ingest.admission",
    "run_ingest": "adapters.ingest.ingest",
    "dry_run_folder": "adapters.ingest.dry_run",
    "SpaceError": "adapters.records.errors",
    "AuditReport": "adapters.audit.audit",
    "purge_partner": "adapters.ingest.purge",
    "run_audit": "adapters.audit.audit",
    "ScrubReport": "adapters.audit.care",
    "StoreNotice": "adapters.audit.care",
    "scrub_store": "adapters.audit.care",
    "inbox_root": "adapters.audit.care",
    "mount_root": "adapters.audit.care",
    "stage_root": "adapters.audit.care",
    "store_client": "adapters.audit.care",
    "store_notices": "adapters.audit.care",
    "EngineUnavailableError": "fsd",
    "Adapter": "adapters.records.items",
    "AdapterError": "adapters.records.errors",
    "Link": "adapters.records.items",
    "MediaFile": "adapters.records.items",
    "Observation": "adapters.records.items",
    "Problem": "adapters.records.items",
    "Record": "adapters.records.items",
    "ScrapeFolder": "adapters.records.folder",
    "Sniff": "adapters.records.items",
    "adapter_named": "adapters.sources.registry",
    "adapter_names": "adapters.sources.registry",
    "waiting_folders": "adapters.ingest.inbox",
    "adapters": "adapters.sources.registry",
    "backup_sample_check": "adapters.audit.backup_sample",
    "cli_app": "adapters.cli.app",
    "demo_chapter": "adapters.cli.demo",
    "sniff": "adapters.sources.registry",
    "SourceFacts": "adapters.thumbnails.thumbnails",
    "THUMBNAIL_EDGE_PX": "adapters.thumbnails.thumbnails",
    "THUMBNAIL_SOURCE_BYTES_MAX": "adapters.thumbnails.thumbnails",
    "ThumbnailReport": "adapters.thumbnails.thumbnails",
    "ThumbnailWorker": "adapters.thumbnails.worker",
    "make_thumbnails": "adapters.thumbnails.thumbnails",
    "source_facts": "adapters.thumbnails.thumbnails",
}

_NAMES_THERE = {
    "WaitingFolder": "Waiting",
    "THUMBNAIL_EDGE_PX": "EDGE_PX",
    "THUMBNAIL_SOURCE_BYTES_MAX": "SOURCE_SIZE_BYTES_MAX",
    "run_ingest": "ingest",
    "dry_run_folder": "dry_run",
    "run_audit": "audit",
    "scrub_store": "scrub",
    "backup_sample_check": "sample_check",
    "cli_app": "app",
    "demo_chapter": "chapter",
}

__all__ = [
    "THUMBNAIL_EDGE_PX",
    "THUMBNAIL_SOURCE_BYTES_MAX",
    "Adapter",
    "AdapterError",
    "AuditReport",
    "EngineUnavailableError",
    "Link",
    "MediaFile",
    "Observation",
    "Problem",
    "Record",
    "ScrapeFolder",
    "ScrubReport",
    "Signal",
    "Sniff",
    "SourceFacts",
    "SpaceError",
    "StoreNotice",
    "ThumbnailReport",
    "ThumbnailWorker",
    "WaitingFolder",
    "adapter_named",
    "adapter_names",
    "adapters",
    "backup_sample_check",
    "check_signal",
    "choose_adapter",
    "cli_app",
    "demo_chapter",
    "dry_run_folder",
    "inbox_root",
    "ingest_states",
    "is_signalled",
    "make_thumbnails",
    "mount_root",
    "purge_partner",
    "read_signal",
    "run_audit",
    "run_ingest",
    "scrub_store",
    "sniff",
    "source_facts",
    "stage_root",
    "store_client",
    "store_notices",
    "waiting_folders",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module adapters has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, _NAMES_THERE.get(name, name))
