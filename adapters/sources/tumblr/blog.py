"""Tumblr as a table: posts, their media, the blogs that made them, and gallery-dl's sidecars."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.sources.columns import recast, source
from adapters.sources.model import Edge, Medium, Node, Person, Rules
from adapters.sources.reading.sidecar import SidecarFormat, of_sidecar, tags_of

TUMBLR = source(
    "tumblr",
    "Tumblr",
    """
    post:
    post_id text = id # Id of the post
    blog_name text = blog_name|blog.name # Name of the blog, also on rows of blogs
    blog_uuid text = blog.uuid # Permanent id of the blog, also on rows of blogs
    post_type text = original_type|type \
        # text, photo, video, audio, quote, link, chat, answer or blocks
    post_url text = post_url # Address of the post
    slug text = slug # Words in the address of the post
    state text = state # published, queued, draft or private
    note_count bigint = note_count # Likes, reblogs and replies
    tags text[] = tags # Tags
    origin_url text = source_url # Where the poster found it
    text text = text # What is written in it, without its title
    medium:
    media_url text = urls[0] # Address of the largest size
    mime_type text = type # MIME type
    alt_text text = alt_text # Description of the medium
    width bigint = width # Width of the medium in pixels
    height bigint = height # Height of the medium in pixels
    duration_s double precision = duration # Length of the medium
    artist text = artist # Artist of a piece of music
    album text = album # Album of a piece of music
    post:
    play_count bigint = plays # How often a sound was played
    medium:
    provider text = provider # Site that the medium is embedded from
    post_id = post_id
    blog_name = blog_name
    trail:
    post_id = id
    blog_name = blog.name
    blog:
    blog_title text = title # Title, on rows of blogs
    post_count bigint = posts # Posts, on rows of blogs
    blog_name = name
    blog_uuid = uuid
    """,
    version=2,
)
BLOG = Person(id="uuid", name="name", title="title|name", time="updated", section="blog")
_MEDIUM = Medium(
    id="id",
    at="media",
    title="caption",
    urls="urls",
    variants="urls",
    thumbs="posters",
    post_stem="^.id",
)
# A post of the chain that is told of elsewhere, by a blog that is as well.
_CHAINED = Node(
    "post",
    id="id",
    section="chained",
    edges=(
        Edge("repost", "post", "next", is_parent=True),
        Edge("authored", Person(id="uuid", name="name", section="chained"), "blogs"),
    ),
)
POST = Node(
    "post",
    id="id",
    title="title",
    time="timestamp|date",
    author=replace(BLOG, at="blog"),
    tags="tags[]:hash",
    media=(_MEDIUM,),
    edges=(Edge("", _CHAINED, "chain"), Edge("linked", "web:page", "pages", count_max=1_000)),
)
TRAIL = replace(POST, section="trail")
RULES = Rules(TUMBLR, "tumblr", {"post": POST, "trail": TRAIL, "note": TRAIL, "blog": BLOG})


# ---- gallery-dl --------------------------------------------------------------------------------

_POST = recast("""
    id = id_string:nonzero|id:nonzero
    title = title:plain|summary:plain|caption:plain|text:plain|body:plain|question:plain \\
        |description:plain
    text = caption:body|body:body|text:body|question:body|description:body
    timestamp = timestamp:posted|date:posted
    blog_name = blog.name:text|blog_name:text
    blog = blog:object
    type = type
    post_url = post_url:address
    slug = slug
    state = state
    note_count = note_count
    source_url = source_url:address
""")
_REBLOGGED = {
    name: recast(f"""
        id = {name}_id:nonzero
        uuid = {name}_uuid
        name = {name}_name:text
        title = {name}_title
    """)
    for name in ("reblogged_from", "reblogged_root")
}


def _of_sidecar(data: dict[str, Any]) -> dict[str, Any]:
    fields = _POST(data)
    originals = [recasted(data) for recasted in _REBLOGGED.values()]
    chain = [
        {"id": one["id"], "blog": one, "next": fields.get("id")} for one in originals if "id" in one
    ]
    blog = {"name": fields.get("blog_name")} | fields.get("blog", {})
    tags = tags_of(data.get("tags"))
    return fields | {"blog": blog, "tags": tags, "originals": chain, "date": None}


def _medium(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"urls": [fields["url"]] if "url" in fields else []}


_MEDIUM_FIELDS = recast(
    """
    id = hash|filename|{id_string:nonzero}_{num:positive}|{id:nonzero}_{num:positive} \\
        |{id_string:nonzero}_1|{id:nonzero}_1
    post_id = id_string|id
    blog_name = blog.name|blog_name
    caption = photo.caption:plain|caption:plain
    url = photo.url:address|url:address|image_permalink:address
    alt_text = photo.alt_text|alt_text
    width = photo.width:nonzero|width:nonzero
    height = photo.height:nonzero|height:nonzero
    duration = duration
    """,
    _medium,
)
_ORIGINAL = replace(_CHAINED, author=replace(BLOG, at="blog"), edges=_CHAINED.edges[:1],
                    unless_only="author")  # fmt: skip
_NODE = replace(of_sidecar(POST), edges=(*POST.edges, Edge("", _ORIGINAL, "originals")))
GALLERY_DL = SidecarFormat(Rules(TUMBLR, "tumblr", {"post": _NODE}), _of_sidecar, _MEDIUM_FIELDS)
