"""`python -m bench.jobs`: its command."""

from bench.jobs.command import main

main()
