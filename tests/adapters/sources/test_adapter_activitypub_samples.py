"""ActivityPub samples, checked by hand: what the files say was read by a person."""

from __future__ import annotations

from datetime import UTC, datetime

from social_records import counts, links, read_set, said, samples

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Record
from adapters.sources.fediverse.activitypub import ADAPTERS

ACTIVITYPUB = ADAPTERS[0]


def test_samples() -> None:
    items = read_set(ACTIVITYPUB, "activitypub")
    assert len(items) == 8
    assert set(counts(items).values()) == {(1, 0)}
    assert ACTIVITYPUB.sniff(ScrapeFolder.of(samples("activitypub"))).confidence >= 0.9

    admin = "activitypub:user:http://mastodon.example.org/users/admin"
    statuses = "activitypub:post:http://mastodon.example.org/users/admin/statuses"
    pages = "activitypub:post:http://mastodon.example.org/@admin"
    picture = "activitypub:media:http://mastodon.example.org/system/media_attachments/files/000/000/002/original/334ce029e7bfb920.jpg"
    boost = f"{statuses}/99542391527669785/activity"
    assert links(items[("mastodon-announce.json", -1)]) == {
        f"{admin} -authored-> {boost}",
        f"{pages}/99541947525187367 -repost-> {boost}",
    }
    # The boost names the page of the note below: its alias joins them.
    yeah = f"{statuses}/99541947525187367"
    talk = "activitypub:conversation:tag:mastodon.example.org"
    assert links(items[("mastodon-note-object.json", -1)]) == {
        f"{admin} -authored-> {yeah}",
        f"{yeah} -alias-> {pages}/99541947525187367",
        f"{talk},2018-02-17:objectId=59:objectType=Conversation -conversation-> {yeah}",
        f"{yeah} -contains 0-> {picture}",
    }
    assert said(items[("mastodon-note-object.json", -1)], yeah).title == "yeah."
    made = f"{statuses}/99541822081679796"
    assert links(items[("mastodon-create-with-attachment.json", -1)]) == {
        f"{admin} -authored-> {made}",
        f"{made} -alias-> {pages}/99541822081679796",
        f"{talk},2018-02-17:objectId=10:objectType=Conversation -conversation-> {made}",
        f"{made} -contains 0-> {picture}",
    }
    warned = f"{statuses}/99512778738411822"
    same = {
        f"{admin} -authored-> {warned}",
        f"{warned} -alias-> {pages}/99512778738411822",
        f"{talk},2018-02-12:objectId=20:objectType=Conversation -conversation-> {warned}",
        f"{warned} -mentioned-> activitypub:user:http://localtesting.pleroma.lol/users/lain",
    }
    by_map = items[("mastodon-post-activity-contentmap.json", -1)]
    assert links(by_map) == same
    assert said(by_map, warned).title == "@lain"
    assert (said(by_map, warned).meta["language"], said(by_map, warned).meta["spoiler_text"]) == (
        "en",
        "cw",
    )
    assert links(items[("mastodon-post-activity.json", -1)]) == same | {
        f"{warned} -reply-> {statuses}/99512778738411823",
        f"{warned} -reply-> {statuses}/99512778738411824",
    }


def test_sample_video_and_audio() -> None:
    items = read_set(ACTIVITYPUB, "activitypub")
    film = items[("tesla_mock/framatube.org-video.json", -1)]
    watch = (
        "activitypub:post:https://framatube.org/videos/watch/6050732a-8a7a-43d4-a6cd-809525a1d206"
    )
    medium = "activitypub:media:https://framatube.org/static/webseed/6050732a-8a7a-43d4-a6cd-809525a1d206-1080.mp4"
    tags = ("déframasoftisons", "epn23", "framaconf", "framasoft", "pyg")
    assert links(film) == {
        f"activitypub:user:https://framatube.org/accounts/framasoft -authored-> {watch}",
        f"activitypub:user:https://framatube.org/video-channels/bf54d359-cfad-4935-9d45-9d6be93f63e8 -member-> {watch}",  # noqa: E501
        f"{watch} -contains 0-> {medium}",
        *(f"activitypub:tag:{tag} -tagged-> {watch}" for tag in tags),
    }
    row = said(film, watch)
    assert (row.title, row.view) == ("Déframasoftisons Internet [Framasoft]", 154)
    assert row.update_time == datetime(2020, 8, 17, 11, 1, 2, 994000, tzinfo=UTC)
    assert (said(film, medium).meta["height"], said(film, medium).meta["duration_s"]) == (
        1080,
        3622.0,
    )

    upload = "activitypub:post:https://channels.tests.funkwhale.audio/federation/music/uploads/42342395-0208-4fee-a38d-259a6dae0871"
    sound = "activitypub:media:https://channels.tests.funkwhale.audio/api/v1/listen/3901e5d8-0445-49d5-9711-e096cf32e515/?upload=42342395-0208-4fee-a38d-259a6dae0871&download=false"
    for name in ("funkwhale_audio.json", "funkwhale_create_audio.json"):
        item = items[(f"tesla_mock/{name}", -1)]
        assert isinstance(item, Record)
        assert links(item) == {
            f"activitypub:user:https://channels.tests.funkwhale.audio/federation/actors/compositions -authored-> {upload}",  # noqa: E501
            f"{upload} -alias-> activitypub:post:https://channels.tests.funkwhale.audio/library/tracks/74",
            f"{upload} -contains 0-> {sound}",
            *(
                f"activitypub:tag:{tag} -tagged-> {upload}"
                for tag in ("funkwhale", "test", "tests")
            ),
        }
        assert said(item, upload).title == "Compositions - Test Audio for Pleroma"
        assert said(item, sound).meta["media_type"] == "audio/ogg"
