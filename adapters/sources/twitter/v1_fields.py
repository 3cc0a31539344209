"""The fields of API v1.1 and of Gnip's activities, which GraphQL and the archive share."""

from __future__ import annotations

from typing import Any

from adapters.records.values import as_text, first
from adapters.sources.columns import recast
from adapters.sources.twitter.tweet import best_first, status_in

V1_USER = recast("""
    id = id_str:id|id:id
    name = screen_name:text
    display_name = name
    follower_count = followers_count
    following_count = friends_count
    post_count = statuses_count
    bio = description
    is_verified = verified
    joined = created_at
    home = location
""")


def _medium(fields: dict[str, Any]) -> dict[str, Any]:
    variants = best_first(fields.get("variants"), "bitrate")
    shown = [text] if (text := as_text(fields.get("shown"))) else []
    is_photo = fields.get("type") == "photo" and not variants
    urls, thumbs = (shown, []) if is_photo else (variants, shown)
    return fields | {"urls": urls, "thumbs": thumbs}


V1_MEDIUM = recast(
    """
    id = id_str:id|id:id|media_key:tail
    key = media_key
    type = type
    shown = media_url_https|media_url
    variants = video_info.variants
    alt_text = ext_alt_text
    width = original_info.width|sizes.large.w
    height = original_info.height|sizes.large.h
    duration_ms = video_info.duration_millis
    view_count = mediaStats.viewCount
    source_post_id = source_status_id_str:id
    """,
    _medium,
)
_PARTS = {
    "user": V1_USER,
    "medium": V1_MEDIUM,
    "mention": recast("id = id_str:id|id:id\nname = screen_name:text"),
    "url": recast("page = expanded_url|url"),
}


def _tweet(fields: dict[str, Any]) -> dict[str, Any]:
    # What answers nothing begins a conversation of its own, though v1.1 does not say so.
    begins = None if "answers" in fields else fields.get("id")
    is_repost = fields.get("is_repost")
    return fields | {
        "author": fields.get("author") or [{"id": fields.get("user_id")}],
        "conversation_id": first(fields.get("conversation_id"), begins),
        "quote_of": None if fields.get("repost_of") else fields.get("quote_of"),
        "media": [] if is_repost else fields.get("media", []),
        "pages": [one["page"] for one in fields.get("urls", ()) if "page" in one],
    }


# Some libraries write the lists beside the text instead of below `entities`; `extended_entities`
# has all media, `entities` only the first.
V1_TWEET = recast(
    """
    id = id_str:id|id:id
    text = extended_tweet.full_text:unescaped|full_text:unescaped|text:unescaped
    created = created_at
    author = user > user
    user_id = user_id_str:id
    conversation_id = conversation_id_str:id|conversation_id:id
    answers = in_reply_to_status_id_str|in_reply_to_status_id
    reply_to = in_reply_to_status_id_str:id|in_reply_to_status_id:id
    is_repost = retweeted_status:object
    repost_of = retweeted_status.id_str:id|retweeted_status.id:id
    quote_of = quoted_status_id_str:id|quoted_status_id:id|quoted_status.id_str:id \
        |quoted_status.id:id
    media = extended_tweet.extended_entities.media|extended_entities.media \
        |extended_tweet.entities.media|entities.media|media > medium
    hashtags[] = extended_tweet.entities.hashtags[].text|entities.hashtags[].text|hashtags[].text
    mentions = extended_tweet.entities.user_mentions|entities.user_mentions|user_mentions > mention
    urls = extended_tweet.entities.urls|entities.urls|urls > url
    language = lang
    favorite_count = favorite_count
    retweet_count = retweet_count
    reply_count = reply_count
    quote_count = quote_count
    bookmark_count = bookmark_count
    is_sensitive = possibly_sensitive
    client = source:html
    place_name = place.full_name
    latitude = coordinates.coordinates[1]|geo.coordinates[0]
    longitude = coordinates.coordinates[0]|geo.coordinates[1]
    """,
    _tweet,
    **_PARTS,
)


# ---- Gnip --------------------------------------------------------------------------------------


def _activity(fields: dict[str, Any]) -> dict[str, Any]:
    share = fields.get("repost_of") if fields.get("verb") == "share" else None
    answered = status_in(fields.get("answered"))
    return _tweet(
        {name: value for name, value in fields.items() if name != "repost_of"}
        | ({"repost_of": share, "is_repost": True} if share else {})
        | ({"reply_to": answered, "answers": answered} if answered else {})
    )


ACTIVITY = recast(
    """
    id = id:tail|object.id:tail
    verb = verb
    text = long_object.body:unescaped|body:unescaped
    created = postedTime
    author = actor > actor
    answered = inReplyTo.link
    repost_of = object.id:tail
    quote_of = twitter_quoted_status.id:tail
    media = long_object.twitter_extended_entities.media|twitter_extended_entities.media \
        |long_object.twitter_entities.media|twitter_entities.media > medium
    hashtags[] = long_object.twitter_entities.hashtags[].text|twitter_entities.hashtags[].text
    mentions = long_object.twitter_entities.user_mentions|twitter_entities.user_mentions > mention
    urls = long_object.twitter_entities.urls|twitter_entities.urls > url
    language = twitter_lang|gnip.language.value
    favorite_count = favoritesCount
    retweet_count = retweetCount
    is_sensitive = possibly_sensitive
    client = generator.displayName:html
    """,
    _activity,
    **_PARTS,
    actor=recast("""
    id = id:tail
    name = preferredUsername
    display_name = displayName
    follower_count = followersCount
    following_count = friendsCount
    post_count = statusesCount
    """),
)
