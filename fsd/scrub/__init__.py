"""Scrubbing: every replica is verified, the one that waited longest first."""
