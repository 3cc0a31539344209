"""Sidecars of gallery-dl: this is the folder's face."""

from adapters.sources.gallery_dl.adapter import ADAPTERS

__all__ = ["ADAPTERS"]
