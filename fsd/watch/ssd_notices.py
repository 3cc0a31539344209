"""What is said of the room on the SSD: it owns these notices, never the room."""

from base.ballast import free_text
from base.text import size_text
from fsd.documents.models import Notice
from fsd.running.engine_core import EngineCore


def ssd_notices(engine: EngineCore) -> list[Notice]:
    """Return what a person should know of the SSD's room."""
    found: list[Notice] = []
    partition = engine.areas.partition_state()
    if engine.ballast().is_given_up():
        behind = "; the index lacks what disks brought or a crash left" * engine.store.behind
        found.append(
            Notice(
                code="ssd-full",
                severity="critical",
                message=f"the SSD is full: {free_text(engine.config.index_root)}, and "
                f"the ballast is given up; puts are refused{behind}",
                advice="remove exports that are no longer needed, or whatever else filled it; "
                "puts go on without a restart",
            )
        )
    if partition.state != "ok":
        found.append(
            Notice(
                code="ssd-partition",
                severity="critical" if partition.state == "emergency" else "warning",
                message=f"the SSD partition is {partition.fill:.0%} full ({partition.state})",
                advice="remove sealed exports that are no longer needed",
            )
        )
    for usage in engine.areas.usage():
        if usage.state != "ok":
            found.append(
                Notice(
                    code="ssd-area",
                    subject=usage.area,
                    severity="critical" if usage.state == "emergency" else "warning",
                    message=f"area {usage.area} is at its quota ({usage.state}): "
                    f"{size_text(usage.used_bytes)} used and {size_text(usage.reserved_bytes)} "
                    f"reserved of {size_text(usage.quota_bytes)}",
                    advice=f"free space in {usage.path} or raise its quota in drystone.toml",
                )
            )
    if without := [usage.area for usage in engine.areas.usage() if not usage.quota_bytes]:
        found.append(
            Notice(
                code="no-quota",
                severity="info",
                message=f"{', '.join(without)}: without a quota; what lies there may fill the SSD "
                "for all others, the index and the database too",
                advice="write their sizes into [quota] of drystone.toml (docs/settings.md); a new "
                "store has them from `drystone init`",
            )
        )
    return found
