"""Where sites that share the general rules keep their ids: it owns the table, and no code.

Paths are written with dots, several are separated by spaces, the first usable one counts; `a+b` are
two that are unique only together. A site that is not here is read by the general paths alone.
"""

from __future__ import annotations

from dataclasses import dataclass

POST = (
    "post_id tweet_id status_id chapter_id work_id submitid submission_id illust_id photo_id "
    "gallery_id episode_id story_id deviationid post.id post.num work.id project_id id gid "
    "index hash_id id_string"
)
MEDIUM = (
    "media_id file_id image_id asset_id attachment_id media.id file.id image.id asset.id hash pid"
)
ALBUM = (
    "album.id album_id set_id pool.id pool_id collection.id manga_id comic_id series.id series_id "
    "folderid folder_id board.id model.id campaign.id title_no"
)
ALBUM_TITLE = (
    "album.title album.name pool.name collection.name collection.title manga comic_name comic "
    "series.title series folder_name board.name model.name campaign.name"
)
ANSWERED = "in_reply_to_id in_reply_to_status_id reply_to_id reply_id parent_id"
REPOSTED = "reblog.id reblogged_from_id retweeted_status.id retweet_id repost_id"


@dataclass(frozen=True, slots=True)
class Profile:
    """The paths of one site."""

    post: str = POST
    medium: str = MEDIUM
    ignores_case: bool = True
    """Whether two names that differ in case are one account."""


GENERAL = Profile(ignores_case=False)

PROFILES = {
    "artstation": Profile(post="id hash_id", medium="asset.id"),
    "behance": Profile(post="id", medium="module.id module.components.id"),
    "civitai": Profile(post="post.id version.id id model.id", medium="file.uuid file.id uuid"),
    "comick": Profile(post="chapter_hid chapter_id", medium="hash"),
    "deviantart": Profile(post="index deviationid", medium="index deviationid"),
    "facebook": Profile(post="id post_id", medium="id"),
    "foriio": Profile(post="work_id id"),
    "imgbb": Profile(post="id", medium="id"),
    "imgur": Profile(post="album.id id", medium="id hash"),
    "naverblog": Profile(post="post.num"),
    "newgrounds": Profile(post="index post_num id", medium="index"),
    "patreon": Profile(post="id", medium="file.id hash"),
    "pinterest": Profile(post="id", medium="media_id"),
    "telegraph": Profile(post="slug post_url"),
    "unsplash": Profile(post="id", medium="id"),
    "vk": Profile(post="id", medium="id"),
    "wallhaven": Profile(post="id", medium="id"),
    "weasyl": Profile(post="submitid charid", medium="submitid"),
    "webtoons": Profile(post="title_no+episode_no", medium="none"),
    "weibo": Profile(post="status.id mblogid id", medium="pid"),
}

# Mirrors: their posts are those of another site, which `service` names.
MIRRORS = frozenset(("kemono", "kemonoparty", "coomer", "coomerparty"))
# Records about an account itself.
ACCOUNTS = frozenset(("info", "profile", "user-info", "background"))
