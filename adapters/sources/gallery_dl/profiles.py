"""Where sites that share the general rules keep their ids: the table of them.

Paths are written with dots, several are separated by spaces, the first usable one counts; `a+b` are
two that are unique only together. A site that is not here is read by the general paths alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.records.values import as_text
from adapters.sources.paths import Read, add_readers, compiled

POST = (
    "post_id tweet_id status_id chapter_id work_id submitid submission_id illust_id photo_id "
    "gallery_id episode_id story_id deviationid post.id post.num work.id project_id id gid "
    "index hash_id id_string"
)
MEDIUM = (
    "media_id file_id image_id asset_id attachment_id media.id file.id image.id asset.id hash pid"
)
ALBUM = (
    "album.id album.album_key album_id set_id pool.id pool_id collection.id manga_id comic_id "
    "series.id series_id folderid folder_id board.id model.id campaign.id title_no"
)
ALBUM_TITLE = (
    "album.title album.name pool.name collection.name collection.title manga comic_name comic "
    "series.title series folder_name board.name model.name campaign.name"
)


def any_of(names: str, reader: str) -> str:
    """Return the path to the first usable of several, which a reader reads."""
    return "|".join(f"{name}:{reader}" for name in names.split())


def look(data: Mapping[str, Any], paths: str, read: Read) -> Any:
    """Return the first usable value of several paths, separated by spaces."""
    return compiled("|".join(paths.split())).first_of(read)(data)[0]


def identity_of(value: Any) -> str | None:
    """Return an id as text: a number that is not 0, or text; never a truth value or a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value in (0, "0"):
        return None
    return as_text(value, 1_000)


add_readers(own_id=identity_of)


@dataclass(frozen=True, slots=True)
class Profile:
    """The paths of one site."""

    post: str = POST
    medium: str = MEDIUM
    ignores_case: bool = True
    """Whether two names that differ in case are one account."""
    inside: str = ""
    """Field that has the post, where the sidecar has only the medium beside it."""
    is_pascal: bool = False
    """Whether its fields are written `LikeThis` and objects of others are in fields like these."""


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
    "smugmug": Profile(post="image_key", medium="image_key", inside="Image", is_pascal=True),
    "telegraph": Profile(post="slug post_url"),
    "unsplash": Profile(post="id", medium="id"),
    "vk": Profile(post="id", medium="id"),
    "wallhaven": Profile(post="id", medium="id"),
    "weasyl": Profile(post="submitid charid", medium="submitid"),
    "webtoons": Profile(post="title_no+episode_no", medium="none"),
    "weibo": Profile(post="id mblogid", medium="pid", inside="status"),
}

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def in_snake_case(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with their names written `like_this`, those of objects too."""
    return {
        _HUMP.sub("_", name).lower(): in_snake_case(value) if isinstance(value, dict) else value
        for name, value in data.items()
    }


# Mirrors: their posts are those of another site, which `service` names.
MIRRORS = frozenset(("kemono", "kemonoparty", "coomer", "coomerparty"))
# Records about an account itself.
ACCOUNTS = frozenset(("info", "profile", "user-info", "background"))
