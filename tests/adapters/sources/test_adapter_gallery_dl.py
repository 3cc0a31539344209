"""gallery-dl: finding sidecars and their files, hostile input included."""

from __future__ import annotations

from gallery_dl_records import ALL, INSTAGRAM, TWEET
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_harness import check, mutated, write

from adapters.records.folder import ScrapeFolder
from adapters.sources.gallery_dl import ADAPTERS

ADAPTER = ADAPTERS[0]


def test_sniffing(tmp_path):
    write(tmp_path, {"a/x.jpg.json": INSTAGRAM, "a/y.jpg.json": TWEET})
    assert ADAPTER.sniff(ScrapeFolder.of(str(tmp_path))).confidence >= 0.9
    other = write(tmp_path / "other", {"x.json": {"category": "fruit", "name": "apple"}})
    assert ADAPTER.sniff(ScrapeFolder.of(other)).confidence < 0.5
    none = write(tmp_path / "none", {"x.json": {"extractor": "youtube"}, "y.json": b"{"})
    assert ADAPTER.sniff(ScrapeFolder.of(none)).confidence == 0.0


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(ALL) - 1), st.integers(0, 2**32))
def test_mutated_records_never_raise(tmp_path_factory, which: int, seed: int):
    folder = tmp_path_factory.mktemp("fuzz")
    check(ADAPTER, write(folder, {"a.jpg": b"1", "a.jpg.json": mutated(ALL[which], seed)}))
