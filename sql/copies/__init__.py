"""Copies of backups on disks: where they lie, what each holds, which may be forgotten."""
