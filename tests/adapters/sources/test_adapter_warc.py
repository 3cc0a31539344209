"""Web archives: hand-written good and hostile ones, and the samples, read by eye."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import brotli
import pytest
import reading_checks as checks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.sources.warc import ADAPTERS, streams

WARC = ADAPTERS[0]
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100


def record(
    kind: str, uri: str | None, block: bytes, *headers: str, length: int | None = None
) -> bytes:
    lines = ["WARC/1.0", f"WARC-Type: {kind}", "WARC-Date: 2020-01-02T03:04:05Z", *headers]
    if uri is not None:
        lines.append(f"WARC-Target-URI: {uri}")
    lines.append(f"Content-Length: {len(block) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers]).encode() + b"\r\n\r\n" + body


def response(uri: str, body: bytes, *headers: str) -> bytes:
    return record("response", uri, http(body, *headers))


def read(tmp_path: Path, files: dict[str, bytes], out: Path | None = None):
    return checks.read(WARC, checks.write(tmp_path, files), str(out) if out else None)


def test_payloads_are_files_with_their_encodings_undone(tmp_path: Path):
    chunked = b"4\r\nabcd\r\n3;x=y\r\nefg\r\n0\r\n\r\n"
    bodies = [
        (PNG, ["Content-Type: image/png"], PNG, "png"),
        (chunked, ["Content-Type: text/plain", "Transfer-Encoding: chunked"], b"abcdefg", "txt"),
        (gzip.compress(b"<title>T</title>"), ["Content-Type: text/html", "Content-Encoding: gzip"],
         b"<title>T</title>", "html"),
        (zlib.compress(b"z" * 9), ["Content-Type: text/plain", "Content-Encoding: deflate"],
         b"z" * 9, "txt"),
        (brotli.compress(b"b" * 9999), ["Content-Type: text/plain", "Content-Encoding: br"],
         b"b" * 9999, "txt"),
        (b"decoded already", ["Content-Type: text/plain", "Content-Encoding: gzip"],
         b"decoded already", "txt"),
        (b"not in chunks at all", ["Content-Type: text/plain", "Transfer-Encoding: chunked"],
         b"not in chunks at all", "txt"),
    ]  # fmt: skip
    data = b"".join(response(f"http://a.test/{n}", b, *h) for n, (b, h, _, _) in enumerate(bodies))
    out = tmp_path / "out"
    records, problems = read(tmp_path / "in", {"a.warc": data}, out)
    assert not problems
    for number, (_, _, expected, extension) in enumerate(bodies):
        name = f"00000/{number:08d}.{extension}"
        page = f"web:page:http://a.test/{number}"
        assert checks.links_of(records[number]) == [
            (page, f"file extracted:{name}", "contains", None)
        ]
        assert (out / name).read_bytes() == expected
    checks.assert_says(
        records[2], title="T", http_status=200, warc_date="2020-01-02T03:04:05+00:00"
    )


def test_what_is_not_stored_is_still_described(tmp_path: Path):
    data = response("http://a.test/style", b"a{}", "Content-Type: text/css")
    data += response("http://a.test/x.gif", b"GIF89a", "Content-Type: application/octet-stream")
    records, problems = read(tmp_path, {"a.warc": data})
    assert not problems
    assert checks.links_of(records[0]) == []
    checks.assert_says(records[0], content_type="text/css", is_root=False)
    assert records[1].links[0].child.path.endswith(".gif")


def test_edges_that_records_state(tmp_path: Path):
    request = b"GET /p.png HTTP/1.1\r\nReferer: http://a.test/\r\n\r\n"
    data = record("response", "http://a.test/old", http(b"", "Location: /new", status="301 Moved"))
    data += record("request", "http://a.test/p.png", request)
    data += record(
        "metadata", "http://a.test/",
        b"via: http://b.test/\r\noutlink: http://c.test/ L a/@href\r\n",
        "Content-Type: application/warc-fields",
    )  # fmt: skip
    data += record(
        "response", "http://a.test/p.png", http(PNG, "Content-Type: image/png"),
        "WARC-Record-ID: <urn:1>", "WARC-Payload-Digest: sha1:A",
    )  # fmt: skip
    data += record(
        "revisit", "http://mirror.test/p.png", http(b"", "Content-Type: image/png"),
        "WARC-Payload-Digest: sha1:A", "WARC-Refers-To-Target-URI: http://a.test/p.png",
    )  # fmt: skip
    data += record(
        "conversion", "http://a.test/p.png", b"GIF89a", "Content-Type: image/gif",
        "WARC-Refers-To: <urn:1>",
    )  # fmt: skip
    data += record(
        "resource", "urn:shot:1", PNG, "Content-Type: image/png", "WARC-Concurrent-To: <urn:1>"
    )
    records, problems = read(tmp_path, {"a.warc": data})
    assert not problems
    page = "web:page:http://a.test/p.png"
    png, gif = "file extracted:00000/00000000.png", "file extracted:00000/00000001.gif"
    assert [checks.links_of(r) for r in records] == [
        [("web:page:http://a.test/old", "web:page:http://a.test/new", "linked", None)],
        [("web:page:http://a.test/", page, "linked", None)],
        [("web:page:http://b.test/", "web:page:http://a.test/", "linked", None),
         ("web:page:http://a.test/", "web:page:http://c.test/", "linked", None)],
        [(page, png, "contains", None)],
        [(page, "web:page:http://mirror.test/p.png", "alias", None),
         ("web:page:http://mirror.test/p.png", png, "contains", None)],
        [(page, gif, "contains", None), (png, gif, "variant", None)],
        [(page, "web:page:urn:shot:1", "linked", None),
         ("web:page:urn:shot:1", "file extracted:00000/00000002.png", "contains", None)],
    ]  # fmt: skip


def test_damage_costs_itself_only(tmp_path: Path):
    good = [response(f"http://a.test/{n}", b"ok", "Content-Type: text/plain") for n in range(4)]
    wrong = http(b"5\r\nhello\r\nxx", "Content-Type: text/plain", "Transfer-Encoding: chunked")
    short = gzip.compress(bytes(range(256)))[:90]
    plain = good[0] + record("response", "http://a.test/w", wrong) + good[1]
    plain += response(
        "http://a.test/s", short, "Content-Type: text/plain", "Content-Encoding: gzip"
    )
    plain += record("response", "http://a.test/l", http(b"x"), length=10**9) + good[2]
    plain += b"garbage\r\n\r\n" + good[3] + record("response", None, http(b"x"))
    packed = [bytearray(gzip.compress(r)) for r in good]
    packed[1][20:30] = b"\xff" * 10
    files = {
        "plain.warc": plain,
        "packed.warc.gz": b"".join(packed),
        "cut.warc.gz": b"".join(map(gzip.compress, good[:2])) + gzip.compress(good[2])[:-12],
        "one.warc.gz": gzip.compress(b"".join(good)),
        "space.warc": response("http://a.test/a b", b"ok", "Content-Type: text/plain"),
        "none.warc": b"",
    }
    records, problems = read(tmp_path, files)
    pages: dict[str, list[str]] = {}
    for one in records:
        pages.setdefault(one.path, []).append(
            str(one.subject).removeprefix("web:page:http://a.test/")
        )
    assert pages == {
        # The one whose length is wrong has a sound header: it is described, and reported.
        "plain.warc": ["0", "1", "l", "2", "3"],
        "packed.warc.gz": ["0", "2", "3"],
        "cut.warc.gz": ["0", "1"],
        "one.warc.gz": ["0", "1", "2", "3"],
        "space.warc": ["a%20b"],
    }
    reasons: dict[str, list[str]] = {}
    for one in problems:
        reasons.setdefault(one.path, []).append(one.reason)
    assert reasons["none.warc"] == ["an archive without records"]
    assert reasons["plain.warc"][0].startswith("wrong chunking")
    assert reasons["plain.warc"][1] == "the gzip data of the body ends in the middle"
    assert "without target URI" in reasons["plain.warc"][-1]
    assert len(reasons["plain.warc"]) == 5
    assert len(reasons["packed.warc.gz"]) == 1 and "gzip" in reasons["packed.warc.gz"][0]
    assert len(reasons["cut.warc.gz"]) == 1


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streams, "UNPACKED_FREE_BYTES", 1 << 16)
    bomb = gzip.compress(b"\0" * (8 << 20))
    data = response("http://a.test/b", bomb, "Content-Type: text/plain", "Content-Encoding: gzip")
    data += response(
        "http://a.test/c", brotli.compress(b"\0" * (8 << 20)), "Content-Type: text/plain",
        "Content-Encoding: br",
    )  # fmt: skip
    data += response("http://a.test/d", b"ok", "Content-Type: text/plain")
    outer = gzip.compress(
        response("http://a.test/o", b"\0" * (8 << 20), "Content-Type: text/plain")
    )
    records, problems = read(
        tmp_path / "in", {"a.warc": data, "o.warc.gz": outer}, tmp_path / "out"
    )
    assert [r.subject for r in records] == ["web:page:http://a.test/d"]
    assert [p.reason[:40] for p in problems] == ["unpacks to more than 200 times its size;"] * 3
    assert len([f for f in (tmp_path / "out").rglob("*") if f.is_file()]) == 1


def test_wacz_and_cdx(tmp_path: Path):
    archive = gzip.compress(response("http://a.test/", b"<html></html>", "Content-Type: text/html"))
    pages = '{"format": "json-pages-1.0"}\n{"id": "1", "url": "http://a.test/", "title": "Home",'
    pages += ' "ts": "2020-01-02T03:04:05Z", "text": "words"}\nbroken\n'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("archive/data.warc.gz", archive)
        file.writestr("../../archive/evil.warc", archive, zipfile.ZIP_DEFLATED)
        file.writestr("pages/pages.jsonl", pages, zipfile.ZIP_DEFLATED)
        file.writestr("indexes/index.cdx", "skipped")
    cdxj = (
        'test,a)/ 20200102030405 {"url": "http://a.test/", "status": "200", "mime": "text/html"}\n'
    )
    cdx = " CDX N b a m s k r M S V g\ntest,a)/ 20200102030405 http://a.test/x image/png 200"
    cdx += " SHA - - 10 42 f.warc.gz\nbroken line\n"
    files = {"a.wacz": packed.getvalue(), "b.wacz": b"PK\3\4no", "c.cdxj": cdxj.encode(),
             "d.cdx": cdx.encode()}  # fmt: skip
    records, problems = read(tmp_path / "in", files, tmp_path / "out")
    assert [(r.path, r.subject, checks.said(r).get("record_type")) for r in records] == [
        ("a.wacz", "web:page:http://a.test/", "response"),
        ("a.wacz", "web:page:http://a.test/", "response"),
        ("a.wacz", "web:page:http://a.test/", "page"),
        ("c.cdxj", "web:page:http://a.test/", "cdx"),
        ("d.cdx", "web:page:http://a.test/x", "cdx"),
    ]
    checks.assert_says(records[2], title="Home", page_text="words")
    checks.assert_says(
        records[4], http_status=200, warc_date="2020-01-02T03:04:05+00:00",
        archive_name="f.warc.gz", archive_offset=42, payload_digest="SHA",
    )  # fmt: skip
    assert [p.path for p in problems] == ["a.wacz", "b.wacz", "d.cdx"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


EXAMPLE = "web:page:http://example.com/"
REFERER = "web:page:https://webrecorder.io/temp-MJFXHZ4S/temp/recording-session/record/http://example.com/"
# Path, number, subject, type, status, method, title, edges as (parent, child, relationship).
SAMPLES = [
    ("aut/issue-514.warc", 0, "warc:album:<urn:uuid:5646ca11-4ad1-4390-a1ad-6e08587f5465>",
     "warcinfo", None, None, "issue-514.warc", []),
    ("aut/issue-514.warc", 1, "web:page:http://www.archiveteam.org/", "request", None, "GET",
     None, []),
    ("aut/issue-514.warc", 2, "web:page:http://www.archiveteam.org/", "response", 307, None,
     "307 Temporary Redirect",
     [("web:page:http://www.archiveteam.org/", "web:page:https://wiki.archiveteam.org/", "linked"),
      ("web:page:http://www.archiveteam.org/", "html", "contains")]),
    ("aut/issue-514.warc", 4, "web:page:https://wiki.archiveteam.org/", "response", 200, None,
     "Archiveteam", [("web:page:https://wiki.archiveteam.org/", "html", "contains")]),
    ("warcio/bad.arc", 2, EXAMPLE, "response", None, None, None, []),
    ("warcio/example-resource.warc.gz", 2, EXAMPLE, "resource", None, None, "Example Domain",
     [(EXAMPLE, "html", "contains")]),
    ("warcio/example-wrong-chunks.warc.gz", 0, EXAMPLE, "response", 200, None, "Example Domain",
     [(EXAMPLE, "html", "contains")]),
    ("warcio/example.arc.gz", 1, EXAMPLE, "response", 200, None, "Example Domain",
     [(EXAMPLE, "html", "contains")]),
    ("warcio/example.warc", 3, EXAMPLE, "request", None, "GET", None,
     [(REFERER, EXAMPLE, "linked")]),
    ("warcio/example.warc.gz", 2, EXAMPLE, "response", 200, None, "Example Domain",
     [(EXAMPLE, "html", "contains")]),
    ("warcio/example.warc.gz", 4, EXAMPLE, "revisit", 200, None, None,
     [(EXAMPLE, "html", "contains")]),
    ("warcio/post-test.warc.gz", 0, "web:page:http://httpbin.org/post", "response", 200, None, None,
     [("web:page:http://httpbin.org/post", "json", "contains")]),
    ("warcio/post-test.warc.gz", 5, "web:page:http://httpbin.org/post?foo=bar", "request", None,
     "POST", None, []),
]  # fmt: skip


def test_samples_say_what_a_person_reads_in_them():
    records, _ = checks.read(WARC, checks.sample("warc"))
    found = checks.by_place(records)
    for path, number, subject, kind, status, method, title, edges in SAMPLES:
        record = found[path, number]
        checks.assert_says(
            record,
            node=subject,
            record_type=kind,
            http_status=status,
            http_method=method,
            title=title,
        )
        shown = [
            (parent, child.rpartition(".")[2] if child.startswith("file ") else child, relationship)
            for parent, child, relationship, _ in checks.links_of(record)
        ]
        assert shown == edges, (path, number)
    checks.assert_says(
        found["warcio/example.warc.gz", 2],
        time="2013-08-09T23:54:35+00:00", warc_date="2017-03-06T04:02:06+00:00",
        content_encoding="gzip", payload_size_bytes=1270, ip_address="93.184.216.34",
        payload_digest="sha1:G7HRM7BGOKSKMSXZAHMUQTTV53QOFSMK",
    )  # fmt: skip


def test_every_sample_file_is_accounted_for():
    records, problems = checks.read(WARC, checks.sample("warc"))
    # 1 warcinfo, 299 responses, 261 requests and 261 metadata records in the first.
    assert checks.counts(records) == {
        "aut/example.warc.gz": 822, "aut/issue-514.warc": 8, "warcio/bad.arc": 1,
        "warcio/example-bad-non-chunked.warc.gz": 6, "warcio/example-digest.warc": 4,
        "warcio/example-resource.warc.gz": 3, "warcio/example-trunc.warc": 3,
        "warcio/example-wrong-chunks.warc.gz": 2, "warcio/example.arc.gz": 2,
        "warcio/example.warc": 6, "warcio/example.warc.gz": 6, "warcio/post-test.warc.gz": 6,
    }  # fmt: skip
    # Lengths of -1, -1 and abc; a body two bytes short, and these two bytes before the next record.
    assert checks.counts(problems) == {"warcio/bad.arc": 3, "warcio/example-trunc.warc": 2}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutated_archives(seed: int, tmp_path_factory: pytest.TempPathFactory):
    source = tmp_path_factory.mktemp("source")
    one = response(
        "http://a.test/", gzip.compress(PNG), "Content-Type: image/png", "Content-Encoding: gzip"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("archive/a.warc", one * 2, zipfile.ZIP_DEFLATED)
    arc = b"filedesc://a 1.1.1.1 20140101000000 text/plain 5\n1 0 A\n\n\n"
    arc += b"http://a.test/ 1.1.1.1 20140101000000 text/html 2\nok\n"
    checks.write(
        source,
        {"a.warc": one * 3, "b.warc.gz": gzip.compress(one) * 3, "c.wacz": packed.getvalue(),
         "d.arc": arc, "e.cdxj": 'a 2020 {"url": "http://a.test/"}\n'},
    )  # fmt: skip
    checks.survives(WARC, source, tmp_path_factory.mktemp("target"), seed)
