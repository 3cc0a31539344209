"""What the formats share: finding documents and media files, and gathering what a record says."""
