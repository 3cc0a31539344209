"""`python -m bench.growth`: its command."""

from bench.growth.command import main

main()
