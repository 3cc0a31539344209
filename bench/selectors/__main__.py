"""`python -m bench.selectors`: its command."""

from bench.selectors.command import main

raise SystemExit(main())
