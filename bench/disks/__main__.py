"""`python -m bench.disks`: its command."""

from bench.disks.command import main

main()
