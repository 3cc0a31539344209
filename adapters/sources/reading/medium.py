"""A medium in several files: it owns telling its sizes from its previews, and no format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.records.folder import extension_of
from adapters.records.items import Link, MediaFile, NodeReference
from adapters.sources.reading.draft import Draft
from adapters.sources.reading.media_finder import MOVING_EXTENSIONS, addressed, is_media_address


@dataclass(frozen=True, slots=True)
class MediaNode:
    """A medium as a node: its file, or the description that stands for the missing one."""

    node: NodeReference
    links: tuple[Link, ...] = ()
    """From the medium to its other sizes and previews, as far as their files are there."""


def media_node(
    draft: Draft,
    description: str,
    urls: Sequence[str],
    thumbnails: Sequence[str] = (),
    stems: Sequence[str] = (),
    is_video: bool = False,
) -> MediaNode:
    """Find the files of one medium: `urls` best first, `stems` are file names without extension.

    `description` stands for it when none of its files is there. A picture that carries the name of
    a video is its preview. Every file of such a site has a name of its own.
    """
    finder, near = draft.media, draft.path
    named = [file for stem in stems for file in finder.all_by_stem(stem, near)]
    own = [file for file in named if _moves(file) == is_video]
    other = [file for file in named if is_video and not _moves(file)]
    sizes = [*addressed(finder, near, [u for u in urls if is_media_address(u)], True), *own]
    shown = [url for url in thumbnails if is_media_address(url)]
    previews = [*addressed(finder, near, shown, True), *other]
    node: NodeReference = sizes[0] if sizes else description
    links: dict[NodeReference, Link] = {}
    for file in sizes[1:]:
        links.setdefault(file, Link(node, file, "variant"))
    for file in previews:
        links.setdefault(file, Link(node, file, "thumbnail"))
    links.pop(node, None)
    return MediaNode(node, tuple(links.values()))


def _moves(file: MediaFile) -> bool:
    return extension_of(file.path) in MOVING_EXTENSIONS
