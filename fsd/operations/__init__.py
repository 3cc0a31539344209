"""What may be asked of the store, described once for its engine, its commands and its pages."""
