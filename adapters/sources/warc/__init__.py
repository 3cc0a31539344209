"""Web archives: WARC, ARC, WACZ and CDX. This is the family's face."""

from adapters.sources.warc.adapter import ADAPTERS

__all__ = ["ADAPTERS"]
