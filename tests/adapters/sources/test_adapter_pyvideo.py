"""pyvideo.org: talks, speakers, events; eleven sample records read by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from api_checks import by_subject, edges, fuzz, read, said, sample, write
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.folder import ScrapeFolder
from adapters.sources.pyvideo import ADAPTERS

ADAPTER = ADAPTERS[0]
TALK = {
    "title": "Walls", "speakers": ["Ann B", "Bo C"], "recorded": "2020-05-06", "duration": 90,
    "description": "<p>How</p>", "language": "eng", "tags": ["stone"], "copyright_text": None,
    "thumbnail_url": "https://i.ytimg.com/vi/abcdefghijk/x.jpg",
    "related_urls": [{"label": "slides", "url": "https://x.test/s"}, "https://y.test/"],
    "videos": [{"type": "mp4", "url": "https://media.test/2020/walls-talk-1.mp4"},
               {"type": "youtube", "url": "https://www.youtube.com/watch?v=abcdefghijk"}],
}  # fmt: skip
FILES = {"conf-2020/videos/walls.json": TALK, "conf-2020/category.json": {"title": "Conf 2020"}}


def test_a_talk(tmp_path):
    (event, record), problems = read(ADAPTER, write(tmp_path, FILES))
    assert problems == []
    assert edges(record) == [
        "pyvideo:username:ann b -credited-> youtube:post:abcdefghijk",
        "pyvideo:username:bo c -credited-> youtube:post:abcdefghijk",
        "pyvideo:album:conf-2020 -member-> youtube:post:abcdefghijk",
        "pyvideo:tag:stone -tagged-> youtube:post:abcdefghijk",
        "youtube:post:abcdefghijk -linked-> web:page:https://x.test/s",
        "youtube:post:abcdefghijk -linked-> web:page:https://y.test/",
        "youtube:post:abcdefghijk -contains(0)-> youtube:media:abcdefghijk",
    ]
    about = said(record)
    assert about.title == "Walls" and about.update_time == datetime(2020, 5, 6, tzinfo=UTC)
    assert about.meta["duration_s"] == 90.0 and "license" not in about.meta
    assert said(record, "pyvideo:username:ann b").title == "Ann B"
    assert event.subject == "pyvideo:album:conf-2020" and said(event).title == "Conf 2020"


def test_files_of_several_encodings(tmp_path):
    files = {**FILES, "v/abcdefghijk.webm": b"w", "v/walls-talk-1.mp4": b"m"}
    (_, record), _ = read(ADAPTER, write(tmp_path, files))
    assert edges(record, "contains", "variant") == [
        "youtube:post:abcdefghijk -contains(0)-> file v/abcdefghijk.webm",
        "file v/abcdefghijk.webm -variant-> file v/walls-talk-1.mp4",
    ]


def test_lengths_of_zero_and_other_hosts(tmp_path):
    talk = {"title": "T", "speakers": [], "duration": None, "category": "Py Café 2010",
            "videos": [{"type": "archive.org", "length": 0, "url": "https://archive.org/details/x"},
                       {"type": "ogv", "length": 12, "url": "http://h.test/x.ogv"}]}  # fmt: skip
    (record,), _ = read(ADAPTER, write(tmp_path, {"a.json": talk}))
    post = "pyvideo:post:https://archive.org/details/x"
    assert edges(record) == [
        f"pyvideo:album:py-caf-2010 -member-> {post}",
        f"{post} -contains(0)-> pyvideo:media:https://archive.org/details/x",
    ]
    assert said(record).meta["duration_s"] == 12.0


def test_what_a_person_can_do_is_said(tmp_path):
    files = {"1.json": {"title": "T", "speakers": [], "videos": [{"type": "youtube"}]},
             "2.json": {"title": "T"}, "3.json": "["}  # fmt: skip
    records, problems = read(ADAPTER, write(tmp_path, files))
    assert records == [] and [p.number for p in problems] == [-1, -1, -1]
    assert "which is its identity" in problems[0].reason
    assert ADAPTER.sniff(ScrapeFolder.of(str(tmp_path))).confidence < 0.8


def test_samples_by_hand():
    records, problems = read(ADAPTER, sample("pyvideo"))
    assert problems == [] and len(records) == 40
    assert all(record.number == -1 and record.complete is None for record in records)
    found = by_subject(records)
    expected = {
        # post: title, speakers, event, length
        "Th3VFliebR4": ("MySQL 5.6", ["dave stokes"], "djangocon-2013", 2022),
        "cYEGwb2ANto": (None, ["christopher adams"], "djangocon-2013", 2715),
        "6YbBmqUnoQM": ('Ein eigener "SourceForge" mit Allura', ["andreas schreiber"],
                        "pycon-de-2011", None),
        "Qizad77FxNU": ("Log Visualization for dummies", ["varang amin", "darlene wong"],
                        "pybay-2016", 2004),
        "rr86pCH9hGU": ("Building International Teams", ["alexandre figura"],
                        "pycon-fr-2017", 1968),
        "hxzPjC51DB0": (None, ["ehsan amid", "manfred k. warmuth"], "uai-2020", 326),
        # The first address is a file; the second is on YouTube, and is what others know.
        "VrXup6wr7EQ": ("OpenStack security by Grant Murphy (Red Hat)", ["grant murphy"],
                        "pycon-au-2014", None),
        "hOKa8klJPyo": ("Interactive 3d Visualization in Jupyter", ["maarten breddels"],
                        "scipy-2018", 1463),
        # A short address, youtu.be.
        "MiPC9BwDdPA": (None, ["paul pereyda karayan"], "pyohio-2023", None),
        "I1Mzx_tSpew": (None, ["harrington joseph"], "pytexas-2019", 1310),
    }  # fmt: skip
    for video, (title, speakers, event, length) in expected.items():
        post = f"youtube:post:{video}"
        record = found[post]
        assert edges(record, "credited", "member", "contains") == [
            *(f"pyvideo:username:{name} -credited-> {post}" for name in speakers),
            f"pyvideo:album:{event} -member-> {post}",
            f"{post} -contains(0)-> youtube:media:{video}",
        ]
        assert said(record).meta.get("duration_s") == length
        assert title is None or said(record).title == title
    page = "pyvideo_237___introduction-to-unittest-a-k-a-pyunit-96"
    archive = f"pyvideo:post:https://archive.org/details/{page}"
    assert said(found[archive]).update_time == datetime(2010, 2, 19, tzinfo=UTC)
    assert "pyvideo:tag:pyunit -tagged-> " + archive in edges(found[archive])
    french = [r for r in records if "pieges-et-bizarreries" in r.path]
    assert french[0].subject.startswith("pyvideo:post:http://dl.afpy.org/pycon-fr-15/")


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_records(seed):
    fuzz(ADAPTER, FILES, Random(seed))
