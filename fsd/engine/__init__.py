"""The engine's process: its life, its API, and the operations on whole disks."""
