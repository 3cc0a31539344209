"""Extraction of records to files on the SSD."""
