"""WebDataset: tar files `SPLIT/NAME-SPLIT-000000.tar`, whose members share a stem per sample.

A sample is `KEY.EXTENSION`, `KEY.cls` with the number of its class (one label) and `KEY.json` with
everything that is known. Shards are written in one go, and the same dataset gives the same bytes:
members have no time and no owner. `shard_size_bytes` bounds the files of a shard, `samples_max`
their number.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from datasets.definition.definition import Definition
from datasets.layout.face import DatasetRow, GeneratedFile, LayoutContext, LayoutEntry
from datasets.layout.options import Options, by_split, facts, merged, option_problems, options_of

SHARD_SIZE_BYTES = 512 << 20
SAMPLES_MAX = 10_000


class WebDatasetOptions(Options):
    """See the module."""

    shard_size_bytes: Annotated[int, Field(ge=1 << 20, le=64 << 30)] = SHARD_SIZE_BYTES
    samples_max: Annotated[int, Field(ge=1, le=1_000_000)] = SAMPLES_MAX


class WebDatasetLayout:
    """See the module."""

    layout_id = "webdataset"
    summary = "tar shards for webdataset, read front to back"
    reads_bytes = True

    def check(self, definition: Definition) -> list[str]:
        """Refuse options that are none, and sidecars, which would lie beside closed shards."""
        problems = option_problems(WebDatasetOptions, definition)
        if definition.sidecars.per_file != "none":
            problems.append("sidecars.per_file: shards carry a KEY.json for every file already")
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield the shards of each split, in order."""
        options = options_of(WebDatasetOptions, context)
        for split, members in by_split(rows):
            for number, part in enumerate(_parts(members, options)):
                name = f"{context.name}-{split}-{number:06d}.tar"
                local_path = os.path.join(context.work_folder, name)
                with (
                    context.staged(part) as path_of,
                    tarfile.open(local_path, "x", format=tarfile.USTAR_FORMAT) as shard,
                ):
                    for row in part:
                        with open(path_of(row), "rb") as file:
                            shard.addfile(_member(row.file_name, row.size_bytes), file)
                        _add_text(shard, f"{row.key}.json", _description(row, context))
                        if len(row.labels) == 1:
                            number_text = str(context.class_numbers[row.labels[0]])
                            _add_text(shard, f"{row.key}.cls", number_text)
                yield GeneratedFile(f"{split}/{name}", local_path)


def _parts(rows: Iterable[DatasetRow], options: WebDatasetOptions) -> Iterator[list[DatasetRow]]:
    part: list[DatasetRow] = []
    size_bytes = 0
    for row in rows:
        full = size_bytes + row.size_bytes > options.shard_size_bytes
        if part and (full or len(part) == options.samples_max):
            yield part
            part, size_bytes = [], 0
        part.append(row)
        size_bytes += row.size_bytes
    if part:
        yield part


def _description(row: DatasetRow, context: LayoutContext) -> str:
    own = facts(row) | {"labels": list(row.labels)}
    if context.definition.boxes is not None:
        own["boxes"] = [box.as_json() for box in row.boxes]
    return json.dumps(merged(own, row.metadata), ensure_ascii=False)


def _member(name: str, size_bytes: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size_bytes, 0o644
    return member


def _add_text(shard: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    shard.addfile(_member(name, len(data)), io.BytesIO(data))


LAYOUT = WebDatasetLayout()
