"""The formats (S03): scraped folders in, nodes and edges out; and UA_1, which carries them in.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.audit import AuditReport
    from adapters.audit import audit as run_audit
    from adapters.backup_sample import sample_check as backup_sample_check
    from adapters.batch_work import Signal, check_signal
    from adapters.care import (
        ScrubReport,
        StoreNotice,
        mount_root,
        stage_root,
        store_client,
        store_notices,
    )
    from adapters.care import scrub as scrub_store
    from adapters.cli import app as cli_app
    from adapters.demo import chapter as demo_chapter
    from adapters.dry_run import dry_run as dry_run_folder
    from adapters.errors import AdapterError, SpaceError
    from adapters.folder import ScrapeFolder
    from adapters.inbox import choose_adapter, waiting_folders
    from adapters.ingest import ingest as run_ingest
    from adapters.items import Adapter, Link, MediaFile, Observation, Problem, Record, Sniff
    from adapters.registry import adapter_named, adapter_names, adapters, sniff
    from adapters.thumbnail_worker import ThumbnailWorker
    from adapters.thumbnails import EDGE_PX as THUMBNAIL_EDGE_PX
    from adapters.thumbnails import SOURCE_SIZE_BYTES_MAX as THUMBNAIL_SOURCE_BYTES_MAX
    from adapters.thumbnails import SourceFacts, ThumbnailReport, make_thumbnails, source_facts
    from fsd import (
        EXIT_CODES,
        EXIT_INCOMPLETE,
        ConfigOption,
        EngineUnavailableError,
        JsonOption,
        find_config,
        safe_text,
        say,
        size_text,
        write_json,
        write_line,
        write_table,
    )

_HOMES = {
    "Signal": "adapters.batch_work",
    "check_signal": "adapters.batch_work",
    "choose_adapter": "adapters.inbox",
    "run_ingest": "adapters.ingest",
    "dry_run_folder": "adapters.dry_run",
    "SpaceError": "adapters.errors",
    "AuditReport": "adapters.audit",
    "run_audit": "adapters.audit",
    "ScrubReport": "adapters.care",
    "StoreNotice": "adapters.care",
    "scrub_store": "adapters.care",
    "mount_root": "adapters.care",
    "stage_root": "adapters.care",
    "store_client": "adapters.care",
    "store_notices": "adapters.care",
    "EXIT_CODES": "fsd",
    "EXIT_INCOMPLETE": "fsd",
    "ConfigOption": "fsd",
    "EngineUnavailableError": "fsd",
    "JsonOption": "fsd",
    "find_config": "fsd",
    "safe_text": "fsd",
    "say": "fsd",
    "size_text": "fsd",
    "write_json": "fsd",
    "write_line": "fsd",
    "write_table": "fsd",
    "Adapter": "adapters.items",
    "AdapterError": "adapters.errors",
    "Link": "adapters.items",
    "MediaFile": "adapters.items",
    "Observation": "adapters.items",
    "Problem": "adapters.items",
    "Record": "adapters.items",
    "ScrapeFolder": "adapters.folder",
    "Sniff": "adapters.items",
    "adapter_named": "adapters.registry",
    "adapter_names": "adapters.registry",
    "waiting_folders": "adapters.inbox",
    "adapters": "adapters.registry",
    "backup_sample_check": "adapters.backup_sample",
    "cli_app": "adapters.cli",
    "demo_chapter": "adapters.demo",
    "sniff": "adapters.registry",
    "SourceFacts": "adapters.thumbnails",
    "THUMBNAIL_EDGE_PX": "adapters.thumbnails",
    "THUMBNAIL_SOURCE_BYTES_MAX": "adapters.thumbnails",
    "ThumbnailReport": "adapters.thumbnails",
    "ThumbnailWorker": "adapters.thumbnail_worker",
    "make_thumbnails": "adapters.thumbnails",
    "source_facts": "adapters.thumbnails",
}

_NAMES_THERE = {
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
    "EXIT_CODES",
    "EXIT_INCOMPLETE",
    "THUMBNAIL_EDGE_PX",
    "THUMBNAIL_SOURCE_BYTES_MAX",
    "Adapter",
    "AdapterError",
    "AuditReport",
    "ConfigOption",
    "EngineUnavailableError",
    "JsonOption",
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
    "adapter_named",
    "adapter_names",
    "adapters",
    "backup_sample_check",
    "check_signal",
    "choose_adapter",
    "cli_app",
    "demo_chapter",
    "dry_run_folder",
    "find_config",
    "make_thumbnails",
    "mount_root",
    "run_audit",
    "run_ingest",
    "safe_text",
    "say",
    "scrub_store",
    "size_text",
    "sniff",
    "source_facts",
    "stage_root",
    "store_client",
    "store_notices",
    "waiting_folders",
    "write_json",
    "write_line",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module adapters has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, _NAMES_THERE.get(name, name))
