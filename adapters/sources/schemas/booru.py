"""The declared metadata of Booru sites: danbooru, gelbooru, moebooru and the like."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "booru",
    1,
    "Booru sites: danbooru, gelbooru, moebooru and the like",
    """
    site text: Which booru
    post_id text: Id of the post there
    md5 text: MD5 of the file as the site says
    rating text: Rating letter or word of the site
    score bigint: Score
    favorite_count bigint: Favourites
    tags text[]: All tags
    artists text[]: Tags that are artists
    characters text[]: Tags that are characters
    copyrights text[]: Tags that are works
    origin_url text: Where the uploader found it
    file_url text: Address of the file
    width bigint: Width in pixels
    height bigint: Height in pixels
    parent_id text: Post that it is a version of
    status text: active, deleted, pending ...
    size_bytes bigint: Size of the file
    post_count bigint: Posts that carry it, on rows of tags
    tag_category text: general, artist, copyright, character or meta, on rows of tags
    user_id text: Id, on rows of users
    user_name text: Name, on rows of users
    """,
)
