"""The demo: its files, its steps and its command."""
