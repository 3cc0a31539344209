"""The long form of the fault tests: it owns which tests that are, how long each is, and the seed.

`--long` runs what is marked `fault` and nothing else: the tests that docs/faults.md names, no more
and no fewer (tests/fsd/faults/test_faults_document.py). A length that somebody chose stays.
"""

from __future__ import annotations

import os

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
LENGTHS = {
    "--crash-points": (240, 5000, "kills in the crash test"),
    "--power-cuts": (6, 200, "cuts in the power cut tests"),
    "--flush-cuts": (6, 0, "cuts at flush boundaries; 0: at every one"),
    "--jobs-kills": (6, 60, "kills in the chaos tests of jobs"),
    "--door-seconds": (0, 600, "seconds of schemathesis at the public port, after one round"),
    "--up-cycles": (3, 200, "kills of the database, each followed by an `up`"),
    "--lanes-seconds": (5, 180, "seconds that lanes are watched, with much waiting in the low one"),
}
"""Of each option: the short form, the long form, what it counts."""
SEEDS = {
    "--crash-seed": "replay the crash tests with this seed",
    "--power-seed": "replay the power cut tests with this seed",
    "--jobs-seed": "replay the chaos tests of jobs with this seed",
}

SEED_VARIABLE = "DRYSTONE_TEST_SEED"
"""The seed of a short form, which `./drystone test` says: what failed is run again with it."""


def add_options(parser: pytest.Parser) -> None:
    """Declare the options of the long form and of its parts."""
    parser.addoption("--long", action="store_true", help="the fault tests, in their long form")
    parser.addoption("--seed", default="", help="replay all fault tests with this seed")
    parser.addoption("--slow", action="store_true", help="also tests that measure by the clock")
    for name, (short, _, what) in LENGTHS.items():
        parser.addoption(name, type=int, default=short, help=what)
    for name, what in SEEDS.items():
        parser.addoption(name, default="", help=what)


def configure(config: pytest.Config) -> None:
    """Declare the mark, and set the lengths and seeds that nobody chose."""
    config.addinivalue_line("markers", "fault: a fault of docs/faults.md, run by --long")
    of_the_run = os.environ.get(SEED_VARIABLE, "")
    for name in SEEDS:
        if not config.getoption(name):
            # Power cuts are the same ones in each short form, unless somebody chose others.
            seed = "" if name == "--power-seed" else of_the_run
            _set(config, name, config.getoption("--seed") or seed)
    if not config.getoption("--long"):
        return
    config.option.slow = True
    for name, (short, long, _) in LENGTHS.items():
        if config.getoption(name) == short:
            _set(config, name, long)


def describe(config: pytest.Config) -> list[str]:
    """Return the line that a long form begins with, or a short one whose seeds are known."""
    if config.getoption("--long"):
        what, names = "long form", (*LENGTHS, *SEEDS)
    else:
        what, names = "random faults", tuple(name for name in SEEDS if config.getoption(name))
    told = " ".join(f"{name} {config.getoption(name)}" for name in names)
    return [f"{what}: {told}"] if told else []


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is no fault test, for the long form."""
    if not config.getoption("--long"):
        return
    others = [item for item in items if not item.get_closest_marker("fault")]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item.get_closest_marker("fault")]


def _set(config: pytest.Config, name: str, value: object) -> None:
    setattr(config.option, name.removeprefix("--").replace("-", "_"), value)
