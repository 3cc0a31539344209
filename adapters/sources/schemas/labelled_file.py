"""The declared metadata of labelled files: rows of image folders, samples of webdataset shards, and
rows of manifests."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "labelled_file",
    1,
    "Labelled files: imagefolder rows, webdataset samples, manifest rows",
    """
    layout text: imagefolder, webdataset or manifest
    file_name text: Name of the file as the row writes it
    item_id text: Id or key of the row
    url text: Address of the medium
    page_url text: Address of its page
    label text: Label, class or category
    label_from text: column, or folder when only the folder says it
    caption text: Caption or description
    split text: train, validation, test ...
    tags text[]: Tags or attributes
    author_name text: Author as written
    license text: Licence
    language text: Language code
    country text: Country code
    width bigint: Width in pixels
    height bigint: Height in pixels
    original_width bigint: Width before resizing in pixels
    original_height bigint: Height before resizing in pixels
    duration_s double precision: Length
    latitude double precision: Latitude in degrees
    longitude double precision: Longitude in degrees
    like_count bigint: Likes, favourites or score
    similarity double precision: Score of the pair of text and image
    status text: Whether the download succeeded
    error text: Why it did not
    declared_sha256 text: Hash as the row writes it
    recognized boolean: Whether a drawing was recognised
    stroke_count bigint: Strokes of a drawing
    members text[]: Names of the members of the sample that are no media
    """,
)
