"""Planners: which disk takes a new shard, which disk reads which bytes. Pure, no I/O."""
