"""What may be asked about datasets, described once."""
