"""The store (S01): content-addressed objects in verified replicas over unequal disks.

This is the folder's face. Names are loaded when they are first used: every disk process imports
this package, and pydantic and Typer together would cost each of them 0.2 s and 20 MB.
"""

# pyright: reportUnusedImport=false

from typing import TYPE_CHECKING

from base.lazy import lazy_face

if TYPE_CHECKING:
    from fsd.cli.app import app as cli_app
    from fsd.cli.daemons.companions import add_chapter, add_companion
    from fsd.cli.demo.demo_steps import Demo
    from fsd.client.client import Client
    from fsd.disk_io.queue_rule import PIECE_BYTES
    from fsd.disks.config import load_config
    from fsd.documents.models import JobStatus, MaterialiseAnswer, RemovalAnswer, StageOutputAnswer
    from fsd.documents.names import Key, check_key
    from fsd.format.errors import (
        EngineUnavailableError,
        FsdError,
        NotFoundError,
        QuotaError,
        ReindexingError,
        SealedMismatchError,
    )
    from fsd.format.paths import check_identifier, check_relative_path, find_collisions, fold_path
    from fsd.operations.jobs import follow as follow_job
    from fsd.operations.listed import store_operations

__getattr__ = lazy_face(__name__, __file__)
