"""What may be asked of the database, described once for its commands and its pages."""
