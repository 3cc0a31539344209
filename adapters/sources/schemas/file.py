"""The declared metadata of plain files: what they say about themselves."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "file",
    1,
    "Plain files: EXIF, XMP, IPTC, audio tags, document info",
    """
    file_name text: Name as scraped
    folder text: Folder as scraped
    detected_type text: What the bytes are, whatever the extension says; NULL when nothing is known
    extension_matches boolean: Whether the extension fits the bytes
    width bigint: Width in pixels, before orientation
    height bigint: Height in pixels, before orientation
    frame_count bigint: Frames or pages; NULL when unknown
    color_mode text: Colour mode, such as RGB, CMYK or I;16
    codec text: Codec or audio format
    duration_s double precision: Length
    sample_rate bigint: Audio samples per second
    channel_count bigint: Audio channels
    bit_rate bigint: Bits per second
    camera_make text: Maker of the camera
    camera_model text: Model of the camera
    lens text: Lens
    software text: Program that wrote it
    exposure_s double precision: Exposure time
    f_number double precision: Aperture
    iso bigint: Sensitivity
    focal_length_mm double precision: Focal length
    orientation bigint: EXIF orientation, 1 to 8
    taken_time timestamptz: When it was taken; without taken_offset the local time as if it were UTC
    taken_offset text: Zone of taken_time such as +02:00; NULL when nobody wrote it
    latitude double precision: Latitude in degrees
    longitude double precision: Longitude in degrees
    altitude_m double precision: Metres above sea level
    title text: Title or headline
    description text: Description or caption
    artist text: Artist, author or photographer
    rights text: Rights or licence
    keywords text[]: Keywords
    rating bigint: Rating by the owner
    city text: Place
    country text: Country
    album text: Album of a sound
    album_artist text: Artist of the album
    track bigint: Number in the album
    disc bigint: Number of the disc
    genre text: Genre
    release_date text: Date of release as written
    subject text: Subject of a document
    page_count bigint: Pages of a document
    is_encrypted boolean: Whether a document needs a password
    producer text: Program that produced a document
    """,
)
