"""Real samples of Twitter API v2, checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from social_sources import (
    about,
    counts,
    edges,
    known,
    outputs,
    positions,
    samples,
    subject,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Record
from adapters.sources.twitter import ADAPTERS

V2 = ADAPTERS[1]


def test_samples_are_read_completely():
    assert counts(outputs(V2, samples("twitter-api-v2"))) == {
        "pytwitter/searches/search_tweets_for_nyc.json": (10, 0),
        "pytwitter/timeline/timeline_tweets.json": (5, 0),
        "pytwitter/tweet/tweet_quote_tweets_resp.json": (15, 0),
        "pytwitter/tweet/tweets_resp.json": (2, 0),
        "twarc/cotweet.jsonl": (1, 0),
        "twarc/counts.jsonl": (0, 1),  # numbers of tweets by hour, no tweets
        "twarc/edited_before.jsonl": (2, 0),
        "twarc/geo_tweets.jsonl": (4, 0),  # 2 tweets, 1 included, 1 user who is no author
        "twarc/kpop.jsonl": (130, 0),  # 100 tweets, 21 different included, 9 users
        "twarc/many_urls.jsonl": (2, 0),
        "twarc/media_tweet.jsonl": (1, 0),
        "twarc/two_tweets.jsonl": (2, 0),
        "twittered/tweet_example_v2.json": (1, 0),
        "twittered/tweet_list_v2_example.json": (5, 0),  # 3 tweets, 2 users who are no authors
    }


def sample(path: str, tweet_id: str) -> Record:
    found = [
        item
        for item in outputs(V2, samples("twitter-api-v2"))
        if isinstance(item, Record) and item.path == path
    ]
    return subject(found, f"twitter:post:{tweet_id}")


def test_sample_video():
    record = sample("twarc/media_tweet.jsonl", "1558553189766631429")
    node = "twitter:post:1558553189766631429"
    assert edges(record) == {
        ("twitter:user:495430242", "authored", node),
        ("twitter:user:495430242", "alias", "twitter:username:igorbrigadir"),
        (node, "contains", "twitter:media:1558552952549277696"),
        ("twitter:conversation:1558553189766631429", "conversation", node),
    }
    video = about(record, "twitter:media:1558552952549277696")
    assert video.view == 19059
    assert known(video) == {
        "post_id": "1558553189766631429",
        "media_id": "1558552952549277696",
        "media_type": "video",
        "media_url": "https://video.twimg.com/ext_tw_video/1558552952549277696/pu/vid/1280x720/"
        "WiZrNZKT2lMzK5zA.mp4?tag=12",
        "width": 1280,
        "height": 720,
        "duration_ms": 71292,
    }
    assert about(record, node).update_time == datetime(2022, 8, 13, 20, 36, 51, tzinfo=UTC)
    assert about(record, "twitter:user:495430242").meta["follower_count"] == 3560


def test_sample_of_an_edited_tweet():
    record = sample("twarc/edited_before.jsonl", "1576994746135764992")
    node, later = "twitter:post:1576994746135764992", "twitter:post:1576994789110992896"
    assert edges(record) == {
        ("twitter:user:337119125", "authored", node),
        ("twitter:user:337119125", "alias", "twitter:username:wongmjane"),
        (node, "contains", "twitter:media:1576994475507077121"),
        ("twitter:conversation:1576994746135764992", "conversation", node),
        (node, "revision", later),
    }
    medium = about(record, "twitter:media:1576994475507077121")
    assert (medium.meta["alt_text"], medium.meta["width"]) == ("selfie of me with memoji", 1536)
    after = sample("twarc/edited_before.jsonl", "1576994789110992896")
    assert about(after, later).title == "hey :) https://t.co/rnwEIoNuqd"


def test_samples_of_retweets():
    short = sample("twarc/two_tweets.jsonl", "1394735776701816833")
    node = "twitter:post:1394735776701816833"
    assert edges(short) == {
        ("twitter:user:1379899464345923590", "authored", node),
        ("twitter:user:1379899464345923590", "alias", "twitter:username:lachiveronica"),
        ("twitter:post:1391677057810288641", "repost", node),
        ("twitter:conversation:1394735776701816833", "conversation", node),
        ("twitter:tag:poiuytrewq", "tagged", node),
        (node, "mentioned", "twitter:user:1380086327023169540"),
        ("twitter:user:1380086327023169540", "alias", "twitter:username:bibaigna96"),
    }
    long = sample("twarc/kpop.jsonl", "1440717170493689866")
    node = "twitter:post:1440717170493689866"
    assert edges(long) == {
        ("twitter:user:1433267766912557062", "authored", node),
        ("twitter:user:1433267766912557062", "alias", "twitter:username:ximerios12_"),
        ("twitter:post:1440691114135080963", "repost", node),
        ("twitter:conversation:1440717170493689866", "conversation", node),
        ("twitter:tag:topkpopecuador", "tagged", node),
        ("twitter:tag:butter", "tagged", node),
        ("twitter:tag:lisa", "tagged", node),
        ("twitter:tag:charts", "tagged", node),
        ("twitter:tag:kpop", "tagged", node),
        (node, "mentioned", "twitter:user:902035056"),
        ("twitter:user:902035056", "alias", "twitter:username:chartsecuador"),
        (node, "mentioned", "twitter:user:335141638"),
        ("twitter:user:335141638", "alias", "twitter:username:bts_twt"),
        (node, "linked", "web:page:http://www.chartsecuador.biz"),
    }
    assert known(about(long, node))["retweet_count"] == 20
    original = sample("twarc/kpop.jsonl", "1440707466560516096")
    assert positions(original) == [(0, "twitter:media:1440535264527405065")]
    assert positions(sample("twarc/kpop.jsonl", "1440717092546756616")) == []
    four = sample("twarc/kpop.jsonl", "1401935376168591362")  # whose media the page lacks
    assert positions(four) == [
        (0, "twitter:media:1401935166377922561"),
        (1, "twitter:media:1401935166386237443"),
        (2, "twitter:media:1401935166398816258"),
        (3, "twitter:media:1401935166382043138"),
    ]


def test_sample_of_a_reply_whose_video_has_the_address_of_a_picture():
    record = sample("twittered/tweet_example_v2.json", "1224044675406925824")
    node = "twitter:post:1224044675406925824"
    assert edges(record) == {
        ("twitter:user:9920272", "authored", node),
        ("twitter:user:9920272", "alias", "twitter:username:marcomornati"),
        (node, "contains", "twitter:media:1365362339449561088"),
        ("twitter:post:1224041905333379073", "reply", node),
        ("twitter:conversation:1224041905333379073", "conversation", node),
        ("twitter:tag:blacklivesmatter", "tagged", node),
        (node, "mentioned", "twitter:username:redouanebali"),
        (node, "mentioned", "twitter:username:twitterapi"),
        (node, "linked", "web:page:https://twitter.com"),
    }
    video = about(record, "twitter:media:1365362339449561088")
    assert (video.view, known(video).get("media_url"), video.meta["alt_text"]) == (
        279438,
        None,
        "test",
    )


def test_samples_with_few_fields():
    record = sample("pytwitter/timeline/timeline_tweets.json", "1362439336910675970")
    assert edges(record) == set() and about(record, str(record.subject)).author is None
    reply = sample("pytwitter/searches/search_tweets_for_nyc.json", "1275840892281249793")
    node = "twitter:post:1275840892281249793"
    assert edges(reply) == {
        ("twitter:user:13524182", "authored", node),
        ("twitter:post:1275781448855891968", "reply", node),
        ("twitter:tag:ny12", "tagged", node),
    }
    plain = sample("pytwitter/tweet/tweets_resp.json", "1278347468690915330")
    assert edges(plain) == {
        ("twitter:user:783214", "authored", "twitter:post:1278347468690915330"),
        ("twitter:user:783214", "alias", "twitter:username:twitter"),
    }
    assert about(plain, str(plain.subject)).title == "Good news and bad news: \n\n2020 is half over"
    two = sample("twittered/tweet_list_v2_example.json", "1464697044006846474")
    assert positions(two) == [
        (0, "twitter:media:1464696946564734980"),
        (1, "twitter:media:1464696974645633034"),
    ]


def test_sniffs_its_own_samples():
    assert V2.sniff(ScrapeFolder.of(samples("twitter-api-v2"))).confidence >= 0.8
    for other in ("twitter-api-v1", "twitter-graphql", "mastodon-api", "instagram-legacy-api"):
        assert V2.sniff(ScrapeFolder.of(samples(other))).confidence == 0
