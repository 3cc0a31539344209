"""`python -m bench.actions`: its command."""

from bench.actions.command import main

main()
