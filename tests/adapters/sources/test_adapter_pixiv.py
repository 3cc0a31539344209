"""pixiv and Fanbox: every shape, what meets what, and ten sample records read by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from api_checks import by_subject, counts, edges, fuzz, read, said, sample, write
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.folder import ScrapeFolder
from adapters.sources.pixiv import ADAPTERS

ADAPTER = ADAPTERS[0]

WEB = {
    "error": False,
    "body": {
        "illustId": "700001", "illustTitle": "Harbour", "id": "700001", "title": "Harbour",
        "illustType": 1, "createDate": "2021-03-04T05:06:07+00:00", "xRestrict": 0, "aiType": 1,
        "urls": {"original": "https://i.pximg.net/img-original/img/2021/03/04/700001_p0.png"},
        "tags": {"tags": [{"tag": "Sea"}, {"tag": "船"}]},
        "userId": "42", "userName": "Umi", "userAccount": "Umi_Paints",
        "userIllusts": {"700001": None, "690000": {"id": "690000", "title": "Old", "userId": "42"}},
        "width": 800, "height": 600, "pageCount": 2, "bookmarkCount": 5, "likeCount": 6,
        "commentCount": 0, "viewCount": 70,
        "seriesNavData": {"seriesId": "900", "title": "Ports", "order": 3},
    },
}  # fmt: skip
APP = {
    "illusts": [
        {
            "id": 700001, "title": "Harbour", "type": "manga", "caption": "c", "page_count": 2,
            "user": {"id": 42, "name": "Umi", "account": "Umi_Paints"},
            "tags": [{"name": "Sea", "translated_name": None}, {"name": "船"}],
            "create_date": "2021-03-04T14:06:07+09:00", "width": 800, "height": 600,
            "x_restrict": 0, "series": {"id": 900, "title": "Ports"}, "meta_single_page": {},
            "meta_pages": [
                {"image_urls": {"original": "https://i.pximg.net/o/700001_p0.png"}},
                {"image_urls": {"original": "https://i.pximg.net/o/700001_p1.png"}},
            ],
            "total_view": 71, "total_bookmarks": 8, "illust_ai_type": 2,
        }
    ],
    "next_url": None,
}  # fmt: skip
FANBOX = {
    "body": {
        "id": "5001", "title": "", "creatorId": "Umi-Draws", "feeRequired": 300, "type": "article",
        "publishedDatetime": "2022-01-01T00:30:00+09:00", "likeCount": 2, "commentCount": 2,
        "tags": ["wip"], "user": {"userId": "42", "name": "Umi"}, "excerpt": "Hello there",
        "body": {
            "blocks": [{"type": "p", "text": "Hello"}, {"type": "image", "imageId": "bbb222"},
                       {"type": "file", "fileId": "fff111"},
                       {"type": "image", "imageId": "aaa111"}],
            "imageMap": {"aaa111": {"id": "aaa111", "extension": "png", "width": 10, "height": 20,
                                    "originalUrl": "https://downloads.test/5001/aaa111.png"},
                         "bbb222": {"id": "bbb222",
                                    "originalUrl": "https://downloads.test/bbb222.png"}},
            "fileMap": {"fff111": {"id": "fff111", "name": "brush",
                                   "url": "https://d.test/fff111.zip"}},
            "embedMap": {"e1": {"serviceProvider": "youtube", "contentId": "abcdefghijk"}},
        },
        "commentList": {"items": [{"id": "c1", "body": "nice",
                                   "user": {"userId": "7", "name": "Bo"},
                                   "createdDatetime": "2022-01-02T00:00:00+09:00", "likeCount": 1,
                                   "replies": [{"id": "c2", "body": "ty",
                                                "user": {"userId": "42", "name": "Umi"}}]}]},
        "prevPost": {"id": "5000"}, "nextPost": None,
    }
}  # fmt: skip
FILES = {
    "web.json": WEB,
    "app.json": APP,
    "fanbox.json": FANBOX,
    "all-42.json": {"body": {"illusts": {"1": None}, "manga": [], "novels": {"1": None}}},
    "pages.json": {"body": [{"urls": {"original": "https://i.pximg.net/o/700001_p0.png"}}]},
}


def test_what_a_person_can_do_is_said(tmp_path):
    files = {
        "1.json": {"error": True, "message": "尚無權限", "body": []},
        "2.json": {"error": {"user_message": "", "message": "Rate Limit"}},
        "3.json": {"body": {"illusts": {"1": None}, "manga": []}},
        "4.json": {"something": "else"},
        "5.json": '{"illusts": [',
        "6.json": {"illusts": [{"id": True, "title": "x", "meta_pages": []}, None]},
        "7.json": {"illusts": []},
        "8.json": {"id": 1, "category": "pixiv", "subcategory": "user", "total_bookmarks": 1},
    }
    records, problems = read(ADAPTER, write(tmp_path, files))
    assert records == []
    assert [(p.path, p.number) for p in problems] == [
        ("1.json", -1), ("2.json", -1), ("3.json", -1), ("4.json", -1), ("5.json", -1),
        ("6.json", 0), ("6.json", 1), ("7.json", -1), ("8.json", -1),
    ]  # fmt: skip
    reasons = [problem.reason for problem in problems]
    assert reasons[0] == "pixiv answered with an error: 尚無權限"
    assert reasons[1] == "pixiv answered with an error: Rate Limit"
    assert "all-12345.json" in reasons[2]
    assert "no usable id" in reasons[5]


def test_sniff(tmp_path):
    root = write(tmp_path, {"a": WEB, "b.txt": APP, "c.json": {"x": 1}})
    sniff = ADAPTER.sniff(ScrapeFolder.of(root))
    assert 0.7 < sniff.confidence < 0.9 and "2 of 3" in sniff.reason


def test_samples_by_hand():
    records, problems = read(ADAPTER, sample("pixiv-api"))
    assert problems == []
    assert counts(records) == {
        "Fanbox_post_with_multi_images.json": 1,
        "all-4991959.json": 1,
        "app-api/mode1.json": 30,
        # The page itself and its 23 works.
        "bookmarks-1039353.json": 24,
        "test-image-info-32039274.json": 1,
        "test-image-no_tags-9175987.json": 1,
        "test-image-ugoira-46281014.json": 1,
        "userdetail-4991959.json": 1,
    }
    found = by_subject(records)
    fanbox = found["fanbox:post:855025"]
    assert edges(fanbox) == [
        "pixiv:user:10594960 -authored-> fanbox:post:855025",
        "fanbox:post:855025 -contains(0)-> fanbox:media:I4MNcglbgoMVwKnY6bFLzQDx",
        "fanbox:post:855025 -contains(1)-> fanbox:media:KByB7s7rBtElNwiQ7dxPuEK3",
        "pixiv:user:10594960 -authored-> fanbox:post:855017",
    ]
    assert said(fanbox).update_time == datetime(2020, 2, 26, 15, 14, 48, tzinfo=UTC)
    everything = next(r for r in records if r.path == "all-4991959.json")
    # 96 pictures, 77 manga and 2 novels; the works of `pickup` are among them.
    assert everything.subject == "pixiv:user:4991959"
    assert len(edges(everything, "authored")) == 96 + 77 + 2
    assert "pixiv:user:4991959 -authored-> pixiv:novel:8683379" in edges(everything)
    one = found["pixiv:post:81547984"]
    assert edges(one) == [
        "pixiv:user:2232374 -alias-> pixiv:username:raika9",
        "pixiv:user:2232374 -authored-> pixiv:post:81547984",
        "pixiv:tag:とある科学の超電磁砲 -tagged-> pixiv:post:81547984",
        "pixiv:tag:とある魔術の禁書目録 -tagged-> pixiv:post:81547984",
        "pixiv:tag:御坂美琴 -tagged-> pixiv:post:81547984",
        "pixiv:post:81547984 -contains(0)-> pixiv:media:81547984_p0",
    ]
    assert (said(one).view, said(one).meta["bookmark_count"]) == (8021, 2324)
    assert said(one).update_time == datetime(2020, 5, 13, 21, 45, 24, tzinfo=UTC)
    two = found["pixiv:post:81501385"]
    assert (said(two).title, said(two).view) == ("おりじなる", 3978)
    many = found["pixiv:post:76695217"]
    assert edges(many, "contains") == [
        f"pixiv:post:76695217 -contains({n})-> pixiv:media:76695217_p{n}" for n in range(8)
    ]
    assert (said(many).title, said(many).view) == ("ツイッターまとめ", 30105)


def test_samples_by_hand_of_the_web():
    records, _ = read(ADAPTER, sample("pixiv-api"))
    found = by_subject(records)
    page = found["pixiv:album:bookmarks-1039353"]
    assert "pixiv:user:1039353 -authored-> pixiv:album:bookmarks-1039353" in edges(page)
    assert len(edges(page, "member")) == 23
    marked = found["pixiv:post:79749281"]
    assert edges(marked, "authored", "member", "contains") == [
        "pixiv:user:605408 -authored-> pixiv:post:79749281",
        "pixiv:album:bookmarks-1039353 -member-> pixiv:post:79749281",
        *(f"pixiv:post:79749281 -contains({n})-> pixiv:media:79749281_p{n}" for n in range(6)),
    ]
    assert said(marked).update_time == datetime(2020, 2, 26, 15, 29, 13, tzinfo=UTC)
    doll = found["pixiv:post:76081765"]
    assert (said(doll).title, said(doll).author) == ("Nameless doll", "pixiv:user:135302")
    info = found["pixiv:post:32039274"]
    assert said(info).view == 378894
    assert said(info).meta["like_count"] == 23694 and said(info).meta["bookmark_count"] == 23229
    # Its own and 124 other works of the artist.
    assert len(edges(info, "authored")) == 125
    assert said(info, "pixiv:media:32039274_p0").meta["width"] == 642
    plain = found["pixiv:post:9175987"]
    assert edges(plain, "tagged") == [] and said(plain).title == "runner"
    loop = found["pixiv:post:46281014"]
    assert said(loop).meta["work_type"] == "ugoira"
    assert edges(loop, "contains") == [
        "pixiv:post:46281014 -contains(0)-> pixiv:media:46281014_ugoira"
    ]
    assert said(found["pixiv:user:4991959"]).title == "外販梅干しミッチェル"


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_records(seed):
    fuzz(ADAPTER, FILES, Random(seed))
