"""The open store: shard table, index, single reads, jobs and the areas of the SSD."""
