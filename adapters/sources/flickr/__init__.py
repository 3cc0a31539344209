"""Flickr: REST responses (XML and JSON) and the normalised JSON of the Flickr Foundation."""

from adapters.sources.flickr.responses import ADAPTERS

__all__ = ["ADAPTERS"]
