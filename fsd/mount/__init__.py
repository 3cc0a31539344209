"""The mount: a read-only tree of the store, in a process of its own (`python -m fsd.mount`).

It owns the FUSE handlers and one reading child per disk. It needs the index and the disks only,
and goes on without the engine.
"""
