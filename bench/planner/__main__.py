"""`python -m bench.planner`: its command."""

from bench.planner.command import main

main()
