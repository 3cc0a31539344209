"""Pictures of PDF documents: their first page. The renderer knows no scripts and no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SIDE_POINTS_MIN = 1.0


def drawn(path: str, edge_px: int) -> Image.Image | str:
    """Return the first page, or why there is none."""
    try:
        import pypdfium2
    except ImportError:
        return "no pictures of PDF: pypdfium2 is not installed"
    document = pypdfium2.PdfDocument(path)
    try:
        if not len(document):
            return "it has no page"
        page = document[0]
        # The longest side gets `edge_px`, however large the page says it is.
        longest = max(*page.get_size(), SIDE_POINTS_MIN)
        return page.render(scale=edge_px / longest, may_draw_forms=False).to_pil()
    finally:
        document.close()
