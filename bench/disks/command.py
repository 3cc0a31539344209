"""Drystone beside its peers on four unequal emulated HDDs, cold: `python -m bench.disks` as root.

    python -m bench.disks [--quick] [--time-scale 3] [--folder /var/tmp] [--json FILE]
                          [--markdown FILE] [--works export,ingest,...] [--peers btrfs,...]

Owns the order of the works and what is divided by what. Every figure is a ratio within this run: of
a bound from the disks' true models (bench.bounds), or of a peer on disks of the same models that
holds the same files and copies the same half of them to the same fast filesystem in memory, which
stands for the SSD. Exports begin cold and end durable.

The disks are slowed as a whole by `--time-scale`, which changes no ratio and lets few busy cores
keep up; what they can do is measured first, and each figure says whether a disk or the rest was the
limit. The corpora are large enough that what an export costs once (before its first byte and after
its last one) does not decide; its share is told apart. Shards are 128 MiB (`--shard-mib`): real
disks are a thousand times larger than these, and their objects, seeks and shards are not. `--quick`
only shows that all works: what a work costs once decides there.

Peers: mergerfs, btrfs-progs, moosefs-master + moosefs-chunkserver + moosefs-client of Debian; what
is not installed is left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import time
from dataclasses import asdict
from typing import Any

from bench.bounds import (
    export_bound_s,
    ingest_bound_s,
    placement_imbalance,
    rebuild_bound_s,
    scrub_bound_s,
)
from bench.disks.lab import Disks, Span
from bench.disks.moosefs import MooseFS
from bench.disks.peers import Btrfs, Mergerfs, Peer, export, ingest
from bench.disks.report import Row, document, markdown, table
from bench.disks.store import StoreUnderTest, Work
from fsd.disks.config import MIB
from fsd.fixture.corpus import Corpus, make_corpus
from tests.lab import why_not

PEERS: dict[str, type[Peer]] = {"btrfs": Btrfs, "mergerfs": Mergerfs, "moosefs": MooseFS}
WORKS = ("ingest", "export", "scrub", "reads", "rebuild")
FILES = {"mixed": 27_000, "small": 30_000}
QUICK_FILES = {"mixed": 500, "small": 2000}
TIMES_PEER_MIN = {"mixed": 3.0, "small": 8.0}
LOST = 1
"""The disk that is lost: one of the middle."""


class Bench:
    """One run: its rows, and what was measured for them."""

    def __init__(self, given: argparse.Namespace, disks: Disks) -> None:
        """Nothing is measured yet."""
        self.given = given
        self.disks = disks
        self.rows: list[Row] = []
        self.raw: list[dict[str, Any]] = []
        self.unmeasured: list[str] = []

    def run(self, name: str) -> None:
        """Measure everything of one corpus."""
        folder, count = os.path.join(self.disks.ssd, "corpus"), self.given.files[name]
        corpus = make_corpus(name, count, folder)
        self.say(f"{name}: {len(corpus.sizes)} files, {corpus.size_bytes / 1e6:.0f} MB")
        mine = self.store(corpus)
        for peer in self.given.peers:
            if not os.path.exists(folder):
                make_corpus(name, count, folder)
            self.peer(PEERS[peer](), corpus, mine)
        shutil.rmtree(folder, ignore_errors=True)

    def store(self, corpus: Corpus) -> dict[str, Span]:
        """Measure the store; returns the spans that peers are compared with."""
        spans: dict[str, Span] = {}
        if "ingest" in self.given.works:
            spans["unread"] = self.ingest_unread(corpus)
        store = self.new_store()
        try:
            spans["ingest"] = self.ingest(store, corpus)
            for disk, reason in store.calibrate().items():
                self.unmeasured.append(f"{corpus.name}: {disk}")
                self.say(f"{disk} is planned by the model of no disk: {reason}")
            if "export" in self.given.works:
                spans["export"] = self.export(store, corpus)
            if corpus.name == self.given.corpora[0]:
                self.rest(store, corpus)
        finally:
            store.close()
        return spans

    def new_store(self, *, read_back: bool = True) -> StoreUnderTest:
        """Begin a store on empty disks."""
        shard_size_bytes = self.given.shard_mib * MIB or None
        min_free_bytes = self.given.min_free_mib * MIB
        return StoreUnderTest(
            self.disks, shard_size_bytes, read_back=read_back, min_free_bytes=min_free_bytes
        )

    def ingest(self, store: StoreUnderTest, corpus: Corpus) -> Span:
        """Put the corpus: also what all that follows stands on."""
        work = store.ingest(corpus)
        self.note(f"drystone ingest {corpus.name}", work.span, work.result)
        if "ingest" in self.given.works:
            place = store.placement()
            sizes, rates = place.disk_bytes(), place.disk_rates()
            bound_s = ingest_bound_s(sizes, rates)
            name = f"{corpus.name}: ingest, two verified copies: bound / time"
            even = f"placement {placement_imbalance(sizes, rates):.2f} x an even one"
            self.add(name, bound_s / work.span.seconds, work.span, 0.8, remark=even)
        return work.span

    def ingest_unread(self, corpus: Corpus) -> Span:
        """Put the corpus into another store, which reads nothing back: as peers do it."""
        store = self.new_store(read_back=False)
        try:
            work = store.ingest(corpus)
            self.note(f"drystone ingest {corpus.name}, not read back", work.span, work.result)
            place = store.placement()
            bound_s = ingest_bound_s(place.disk_bytes(), place.disk_rates(), read_back=False)
            name = f"{corpus.name}: ingest, two copies that are not read back: bound / time"
            self.add(name, bound_s / work.span.seconds, work.span)
        finally:
            store.close()
        return work.span

    def export(self, store: StoreUnderTest, corpus: Corpus) -> Span:
        """Export the same half several times; the median of the whole times is what counts."""
        half = corpus.half()
        works: list[Work] = []
        for _ in range(self.given.rounds):
            works.append(store.export(corpus, half))
            self.note(f"drystone export {corpus.name}", works[-1].span, works[-1].result)
        works.sort(key=lambda work: work.span.seconds)
        work = works[len(works) // 2]
        place = work.placement  # Its own: a later export may have begun another shard.
        assert place is not None
        bound_s = export_bound_s(work.wanted_bytes, place.holders, place.rates)
        planned_s, copying_s = work.result["planned_s"], work.result["copying_s"]
        start = f"{corpus.name}: export of half:"
        read = sum(disk.read_bytes for disk in work.span.disks) / sum(work.wanted_bytes)
        share = busy_share(work.result)
        remark = f"disks at it for {share:.0%} of the copying{measured(work.result)}"
        self.add(f"{start} plan / achieved", planned_s / copying_s, work.span, 0.9, remark)
        remark = f"reads {read:.2f} x the wanted bytes{measured(work.result)}"
        self.add(f"{start} LP / plan", bound_s / planned_s, work.span, remark=remark)
        whole = f"LP / copying {bound_s / copying_s:.2f}"
        self.add(f"{start} LP / whole time", bound_s / work.span.seconds, work.span, remark=whole)
        fixed, remark = fixed_costs(work)
        self.rows.append(Row(f"{start} fixed costs / whole time", fixed, remark=remark))
        self.add(f"{start} seeks per object", work.span.seeks / work.files, work.span)
        return work.span

    def rest(self, store: StoreUnderTest, corpus: Corpus) -> None:
        """Scrub, single reads, and at last the loss of a disk."""
        works = self.given.works
        # The drives' images need the memory: from a real disk they would come late.
        shutil.rmtree(corpus.folder)
        if "scrub" in works:
            place = store.placement()
            work = store.scrub()
            self.note("drystone scrub", work.span, work.result)
            bound_s = scrub_bound_s(place.disk_bytes(), place.disk_rates())
            self.add("scrub: bound / time", bound_s / work.span.seconds, work.span, 0.9)
        idle_s = 0.0
        if "reads" in works:
            work = store.cold_reads(corpus, self.given.reads)
            self.note("drystone cold reads", work.span, {})
            idle_s = statistics.median(work.reads_s)
            seeks = work.span.seeks / work.files
            at_a_time = "one at a time"
            self.rows.append(Row("cold small read: seeks", seeks, 1.1, True, at_a_time))
        if "rebuild" in works:
            self.rebuild(store, corpus, idle_s)

    def rebuild(self, store: StoreUnderTest, corpus: Corpus, idle_s: float) -> None:
        """Lose a disk while foreground reads go on."""
        place = store.placement()
        lost = [number for number, held in enumerate(place.holders) if LOST in held]
        left = [number for number in range(len(self.disks.drives)) if number != LOST]
        work = store.rebuild(corpus, LOST)
        self.note("drystone rebuild", work.span, work.result)
        bound_s = rebuild_bound_s(
            [place.shards[number].length_bytes for number in lost],
            [[disk for disk in place.holders[number] if disk != LOST] for number in lost],
            [[disk for disk in left if disk not in place.holders[number]] for number in lost],
            place.rates[lost],
            store.placement().rates_of_new(place),
        )
        reads = work.reads_s
        remark = f"{len(reads)} reads of 5/s meanwhile"
        self.add("rebuild: bound / time", bound_s / work.span.seconds, work.span, 0.85, remark)
        if idle_s and reads:
            slower = statistics.median(reads) / idle_s
            name = "read beside a rebuild / alone (medians)"
            self.rows.append(Row(name, slower, 2.0, True, "", f"worst {max(reads) / idle_s:.1f}"))

    def peer(self, peer: Peer, corpus: Corpus, mine: dict[str, Span]) -> None:
        """Measure a peer with the same files, on the same disks, emptied."""
        if missing := peer.missing():
            self.say(f"{peer.name} is left out: there is no {missing}; {peer.install}")
            return
        try:
            peer.start(self.disks)
            span = ingest(peer, self.disks, corpus)
            self.note(f"{peer.name} ingest {corpus.name}", span, {})
            if "ingest" in self.given.works:
                for work, remark in (("ingest", "ours is read back"), ("unread", "nothing is")):
                    name = f"{corpus.name}: ingest, time of {peer.name} / ours, {remark}"
                    self.add(name, span.seconds / mine[work].seconds, span)
            if "export" in self.given.works:
                target = os.path.join(self.disks.ssd, "out")
                half = corpus.half()
                span = export(peer, self.disks, corpus, half, target)
                self.note(f"{peer.name} export {corpus.name}", span, {})
                name = f"{corpus.name}: export, x {peer.name}"
                ratio, goal = span.seconds / mine["export"].seconds, TIMES_PEER_MIN[corpus.name]
                self.add(name, ratio, span, goal, f"its seeks {span.seeks / len(half):.2f}")
        finally:
            peer.stop()

    def add(
        self, work: str, ratio: float, span: Span, goal: float | None = None, remark: str = ""
    ) -> None:
        """Take a figure whose measurement is `span`."""
        limit = f"{span.limit} ({span.busy_share:.0%})"
        self.rows.append(Row(work, ratio, goal, False, limit, remark))

    def note(self, name: str, span: Span, result: dict[str, Any]) -> None:
        """Keep the measured span as it is."""
        self.raw.append({"name": name, "span": asdict(span), "result": result})
        model_s = span.seconds / self.disks.time_scale
        self.say(f"{name}: {model_s:.2f} s of the disks' time, {span.seeks} seeks, {span.limit}")

    def say(self, text: str) -> None:
        """Tell whoever waits."""
        print(text, file=sys.stderr, flush=True)


def busy_share(result: dict[str, Any]) -> float:
    """How long the disks were at it, their mean, as a share of the copying."""
    busy = [seconds["busy_s"] for seconds in result["disks"].values()]
    return statistics.fmean(busy) / result["copying_s"]


def measured(result: dict[str, Any]) -> str:
    """A remark when an export was planned without the model of a disk."""
    known, all_of_them = result["measured_disks"], result["planned_disks"]
    return "" if known == all_of_them else f"; ONLY {known} OF {all_of_them} DISKS WERE MEASURED"


def fixed_costs(work: Work) -> tuple[float, str]:
    """The share of an export's time that is not copying, and what of it was what."""
    whole_s = work.span.seconds
    phases = {name: s for name, s in work.result["phases_s"].items() if name != "copying"}
    fixed_s = whole_s - work.result["copying_s"]
    phases["the rest"] = max(0.0, fixed_s - sum(phases.values()))
    parts = sorted(phases.items(), key=lambda phase: -phase[1])
    told = [f"{name or 'beginning'} {s / whole_s:.1%}" for name, s in parts if s > whole_s / 1000]
    return fixed_s / whole_s, ", ".join(told)


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Do the whole run; returns the document of `--json`."""
    begun = time.monotonic()
    with Disks(given.folder, given.size_scale, given.time_scale, given.speed) as disks:
        write, read = disks.honesty(given.probe_mb)
        bench = Bench(given, disks)
        bench.say(
            f"time scale {given.time_scale:g}; all disks at once reach {write:.0%} of their "
            f"models' rate when they are written, {read:.0%} when they are read"
        )
        for name in given.corpora:
            bench.run(name)
    about = {
        "time_scale": given.time_scale,
        "files": {name: given.files[name] for name in given.corpora},
        "shard_mib": given.shard_mib,
        "write_share": write,
        "read_share": read,
        "unmeasured": bench.unmeasured,
        "seconds": time.monotonic() - begun,
    }
    print(table(bench.rows))
    if given.markdown:
        with open(given.markdown, "w", encoding="utf-8") as file:
            file.write(markdown(bench.rows) + "\n")
    found = document(bench.rows, about, bench.raw)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    return found


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.disks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="one small corpus: under 90 s")
    parser.add_argument("--folder", default="/var/tmp", help="where the disks' images lie, sparse")
    parser.add_argument("--time-scale", type=float, help="default 3; with --quick 2.5")
    parser.add_argument("--size-scale", type=float, default=1.0, help="of the disks")
    parser.add_argument("--speed", type=float, default=1.0, help="multiplies the disks' rates")
    parser.add_argument("--files-mixed", type=int)
    parser.add_argument("--files-small", type=int)
    parser.add_argument(
        "--shard-mib", type=int, help="default 128; with --quick 16; 0 is what `init` chooses"
    )
    parser.add_argument("--min-free-mib", type=int, default=64, help="a store's own is 1024")
    parser.add_argument("--probe-mb", type=int, help="how much the fastest disk moves at first")
    parser.add_argument("--rounds", type=int, help="exports by the store: their median; default 3")
    parser.add_argument("--reads", type=int, default=300, help="single cold reads")
    parser.add_argument("--corpora", type=_words(tuple(FILES)), help="default mixed,small")
    parser.add_argument("--works", type=_words(WORKS), default=list(WORKS))
    parser.add_argument("--peers", type=_words(tuple(PEERS)), default=list(PEERS))
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE")
    given = parser.parse_args(arguments)
    sizes = QUICK_FILES if given.quick else FILES
    given.files = {
        "mixed": given.files_mixed or sizes["mixed"],
        "small": given.files_small or sizes["small"],
    }
    given.time_scale = given.time_scale or (2.5 if given.quick else 3.0)
    given.corpora = given.corpora or (["mixed"] if given.quick else list(FILES))
    given.rounds = given.rounds or (1 if given.quick else 3)
    if given.shard_mib is None:
        given.shard_mib = 16 if given.quick else 128
    given.probe_mb = given.probe_mb or (100 if given.quick else 400)
    return given


def _words(known: tuple[str, ...]) -> Any:
    def read(text: str) -> list[str]:
        words = [word for word in text.split(",") if word]
        if unknown := set(words) - set(known):
            raise argparse.ArgumentTypeError(f"{unknown.pop()} is none of {', '.join(known)}")
        return words

    return read


def main() -> None:
    """Run the command line."""
    given = parse()
    if problem := why_not():
        raise SystemExit(problem)
    # Whoever ends us wants disks and servers gone; SIGTERM does so like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = measure(given)
        if (unmeasured := found["about"]["unmeasured"]) and not given.quick:
            raise SystemExit(f"not measured, so the plans are worth little: {unmeasured}")
        missed = [row["work"] for row in found["rows"] if row["met"] is False]
        if missed and not given.quick:
            raise SystemExit(f"missed: {'; '.join(missed)}")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
