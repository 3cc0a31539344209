"""What the store keeps on the SSD besides the index: room, ballast, and small files."""
