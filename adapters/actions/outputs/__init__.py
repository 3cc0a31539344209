"""Outputs of programs: matched, parsed, handed off."""
