"""Web archives: WARC, ARC, WACZ and CDX. This is the family's face."""

from adapters.warc.adapter import ADAPTERS

__all__ = ["ADAPTERS"]
