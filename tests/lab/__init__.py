"""The lab: emulated HDDs whose every fault can be switched, for tests and benchmarks.

with EmulatedDisk("/mnt/slow", HddModel(size_bytes=4 << 30)) as disk:
    ...                     # a real ext4 at disk.path
    disk.control("hang")
"""

from .drive import Drive, LabError, run, why_not
from .emulated_disk import EmulatedDisk
from .model import HddModel
from .write_log import MODES, copy_image, flush_times, replay

__all__ = [
    "MODES",
    "Drive",
    "EmulatedDisk",
    "HddModel",
    "LabError",
    "copy_image",
    "flush_times",
    "replay",
    "run",
    "why_not",
]
