"""YouTube Data API v3: every kind of resource; sample records read by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from api_checks import by_subject, counts, edges, fuzz, read, said, sample, write
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.folder import ScrapeFolder
from adapters.sources.youtube_data import ADAPTERS, duration_s

ADAPTER = ADAPTERS[0]
CHANNEL = "UC" + "a" * 22
VIDEO = {
    "kind": "youtube#video", "id": "abc-DEF_123",
    "snippet": {"publishedAt": "2020-01-02T03:04:05.000Z", "channelId": CHANNEL,
                "title": "A <b c> &amp;",
                "channelTitle": "Chan", "tags": ["One", "two"], "categoryId": "28",
                "liveBroadcastContent": "none", "defaultAudioLanguage": "en"},
    "contentDetails": {"duration": "PT1H4M13S"}, "status": {"privacyStatus": "public"},
    "statistics": {"viewCount": "12345678901", "likeCount": "7", "commentCount": "0"},
}  # fmt: skip
FOUND = {"kind": "youtube#searchResult", "id": {"kind": "youtube#video", "videoId": "abc-DEF_123"},
         "snippet": {"channelId": CHANNEL, "title": "Rock &amp; Roll",
                     "channelTitle": "It&#39;s"}}  # fmt: skip
PLACE = {"kind": "youtube#playlistItem", "id": "UExabc",
         "snippet": {"publishedAt": "2021-01-01T00:00:00Z", "channelId": CHANNEL,
                     "title": "Private video",
                     "playlistId": "PL123", "position": 4,
                     "resourceId": {"kind": "youtube#video", "videoId": "zzzzzzzzzzz"}},
         "contentDetails": {"videoId": "abc-DEF_123",
                            "videoPublishedAt": "2020-01-02T03:04:05Z"}}  # fmt: skip


def comment(identity, **fields):
    snippet = {"authorDisplayName": "Ann", "authorChannelId": {"value": "UCann"}, "likeCount": 2,
               "textDisplay": "x &amp; <br>y", "publishedAt": "2020-02-02T00:00:00Z",
               **fields}  # fmt: skip
    return {"kind": "youtube#comment", "id": identity, "snippet": snippet}


THREAD = {
    "kind": "youtube#commentThread", "id": "T1",
    "snippet": {"videoId": "abc-DEF_123", "totalReplyCount": 2,
                "topLevelComment": comment("T1", textOriginal="hello")},
    "replies": {"comments": [comment("T1.a", parentId="T1"), comment("T1.b", parentId="T1")]},
}  # fmt: skip
FILES = {"v.json": {"kind": "youtube#videoListResponse", "items": [VIDEO, FOUND, PLACE, THREAD]},
         "c.json": comment("T9", parentId="T1"),
         "p.json": {"items": [{"id": "PL0123456789", "snippet": {}}]}}  # fmt: skip


@pytest.mark.parametrize(
    "text, seconds",
    [("PT4M13S", 253), ("P1DT1S", 86_401), ("PT0S", None), ("P", None), ("4:13", None), (5, None),
     ("PT1.5S", 1.5), ("P1W", 604_800)],
)  # fmt: skip
def test_durations(text, seconds):
    assert duration_s(text) == seconds


def test_what_a_person_can_do_is_said(tmp_path):
    files = {
        "1.json": {"error": {"code": 403, "message": "quotaExceeded"}},
        "2.json": {"kind": "youtube#i18nRegionListResponse",
                   "items": [{"kind": "youtube#i18nRegion"}]},
        "3.json": {"kind": "youtube#playlistItemListResponse",
                   "items": [{"kind": "youtube#playlistItem", "snippet": {}}]},
        "4.json": {"items": [1, 2]}, "5.json": {"kind": "youtube#videoListResponse", "items": []},
    }  # fmt: skip
    records, problems = read(ADAPTER, write(tmp_path, files))
    assert records == []
    reasons = [problem.reason for problem in problems]
    assert reasons[0] == "YouTube answered with an error 403: quotaExceeded"
    assert "i18nRegion" in reasons[1] and "playlistItem" in reasons[1]
    assert "names no video" in reasons[2]
    assert reasons[3].startswith("no known response")
    assert reasons[4].startswith("nothing in it: ")
    assert ADAPTER.sniff(ScrapeFolder.of(str(tmp_path))).confidence < 0.8


def test_samples_by_hand():
    records, problems = read(ADAPTER, sample("youtube-data-api"))
    assert problems == []
    assert counts(records) == {
        "captions/captions_by_video.json": 2,
        "channels/info_multiple.json": 2,
        "comment_threads/comment_threads_by_video_paged_1.json": 5,
        "comments/comments_by_parent_paged_1.json": 2,
        "playlist_items/playlist_items_paged_1.json": 10,
        "playlists/playlists_paged_1.json": 10,
        "search/search_by_keywords_p1.json": 25,
        "videos/videos_chart_paged_1.json": 5,
        "videos/videos_info_multi.json": 2,
    }
    found = by_subject(records)
    y = "youtube"
    assert edges(found[f"{y}:caption:SwPOvp0r7kd9ttt_XhcHdZthMwXG7Z0I"]) == [
        f"{y}:post:oHR3wURdJ94 -attachment-> {y}:caption:SwPOvp0r7kd9ttt_XhcHdZthMwXG7Z0I"
    ]
    google = found[f"{y}:channel:UCK8sQmJBp8GCxrOtXWBpyEA"]
    assert (said(google).view, said(google).meta["follower_count"]) == (3331930783, 10700000)
    assert edges(google) == [
        f"{y}:channel:UCK8sQmJBp8GCxrOtXWBpyEA -alias-> {y}:username:@google",
        f"{y}:channel:UCK8sQmJBp8GCxrOtXWBpyEA -authored-> {y}:playlist:UUK8sQmJBp8GCxrOtXWBpyEA",
    ]
    first = found[f"{y}:comment:UgyZ1jqkHKYvi1-ruOZ4AaABAg"]
    assert edges(first) == [
        f"{y}:post:F1UP7wRCPH8 -reply-> {y}:comment:UgyZ1jqkHKYvi1-ruOZ4AaABAg",
        f"{y}:channel:UCzj-CjKYmGlZ7vTL-vOe57A -authored-> {y}:comment:UgyZ1jqkHKYvi1-ruOZ4AaABAg",
    ]
    assert said(first).title == "Google.com"
    assert said(found[f"{y}:comment:UgwI_ylXVnzPS8Q-oAV4AaABAg"]).meta["comment_count"] == 2
    third = found[f"{y}:comment:Ugw5zYU6n9pmIgAZWvN4AaABAg.91zT3cYb5B291za6voUoRh"]
    assert edges(third, "reply") == [
        f"{y}:comment:Ugw5zYU6n9pmIgAZWvN4AaABAg -reply-> {third.subject}"
    ]
    assert said(third).title == "this is the third reply!"
    welcome = found[f"{y}:post:CvTApw9X8aA"]
    assert edges(welcome) == [
        f"{y}:playlist:PLOU2XLYxmsIKpaV8h0AGE05so0fAwwfTw -member(0)-> {y}:post:CvTApw9X8aA",
        f"{y}:channel:UC_x5XG1OV2P6uZZ5FSM9Ttw -authored-> "
        f"{y}:playlist:PLOU2XLYxmsIKpaV8h0AGE05so0fAwwfTw",
    ]
    summit = found[f"{y}:playlist:PLOU2XLYxmsIKpaV8h0AGE05so0fAwwfTw"]
    assert said(summit).title == "Pittsburgh ML Summit ‘19"
    assert said(summit).author == f"{y}:channel:UC_x5XG1OV2P6uZZ5FSM9Ttw"
    pipe = found[f"{y}:post:i2hewkFijuY"]
    assert said(pipe).title == "SURFING PERFECT PIPE & BACKDOOR || SUNRISE SHACK!"
    assert edges(pipe) == [
        f"{y}:channel:UC_F4Iy5korq2mEWZDQhG07w -authored-> {y}:post:i2hewkFijuY",
        f"{y}:post:i2hewkFijuY -contains(0)-> {y}:media:i2hewkFijuY",
    ]
    giddy = found[f"{y}:post:hDeuSfo_Ys0"]
    assert said(giddy).update_time == datetime(2019, 11, 29, 20, 0, 11, tzinfo=UTC)
    assert said(giddy).meta["categories"] == ["People & Blogs"]
    assert len(edges(giddy, "tagged")) == 12 and said(giddy).view is None
    actions = found[f"{y}:post:D-lhorsDlUQ"]
    assert said(actions).meta["language"] == "en"
    assert said(actions, f"{y}:channel:UC_x5XG1OV2P6uZZ5FSM9Ttw").title == "Google Developers"


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_records(seed):
    fuzz(ADAPTER, FILES, Random(seed))
