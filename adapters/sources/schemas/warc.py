"""The declared metadata of web archives: WARC, ARC, WACZ, CDX."""

from __future__ import annotations

from adapters.sources.schemas.build import source_table

TABLE = source_table(
    "warc",
    1,
    "Web archives: WARC, ARC, WACZ, CDX",
    """
    record_type text: Type of the record; page and cdx for lists of pages and CDX listings
    record_id text: WARC-Record-ID
    target_uri text: Address that was archived
    warc_date timestamptz: When it was captured
    ip_address text: Address of the server
    content_type text: Media type of the payload as written
    http_status bigint: HTTP status
    http_method text: HTTP method, on requests
    content_encoding text: Content encoding of the payload
    location text: Where a redirect leads
    referer text: Page that asked for it, on requests
    payload_digest text: Digest of the payload as written
    block_digest text: Digest of the block as written
    payload_size_bytes bigint: Size of the payload after decoding, where it was extracted
    truncated text: Why the writer cut it: length, time, disconnect or unspecified
    refers_to text: Record that a revisit or conversion refers to
    concurrent_to text: Record of the same capture
    software text: Program that wrote the archive, on rows of archives
    archive_name text: File that the capture lies in, on rows of CDX listings
    archive_offset bigint: Where in that file, on rows of CDX listings
    page_text text: Text of the page, where the archive lists it
    """,
)
