"""The process of the HTTP API: it owns what is served where.

    python -m sql.api.main --config FILE [--tcp-port PORT --token-file FILE]

The unix socket is for the owner alone (mode 0600), who needs no token. Over TCP, on 127.0.0.1 only,
every request bears the token of a file that nobody else may read; it is never an argument, which
everybody can see, nor in a log.
"""

from __future__ import annotations

import argparse
import contextlib
import sys

from base.config import find_config
from base.errors import DrystoneError, UsageError
from sql.api.app import make_app
from sql.api.listen import read_token, serve_apps, tcp_listener, unix_listener
from sql.api.turns import Turns
from sql.core.config import load_config
from sql.database.database import Database

SOCKET_NAME = "database.sock"


def main() -> int:
    """Serve one database until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Serve the database's HTTP API.")
    parser.add_argument("--config", required=True)
    parser.add_argument("--tcp-port", type=int)
    parser.add_argument("--token-file")
    arguments = parser.parse_args()
    try:
        serve(arguments.config, arguments.tcp_port, arguments.token_file)
    except DrystoneError as error:
        print(f"drystone: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def serve(config_path: str | None, tcp_port: int | None, token_file: str | None) -> None:
    """Serve in the foreground. Raises SqlError when it cannot begin."""
    if (tcp_port is None) != (token_file is None):
        raise UsageError("TCP needs both a port and a token: give --tcp-port and --token-file")
    token = read_token(token_file) if token_file is not None else None
    path = find_config(config_path)
    run_dir = load_config(path).run_dir
    with (
        contextlib.ExitStack() as stack,
        Database.open(path) as database,
    ):
        turns = Turns()
        listener = stack.enter_context(unix_listener(run_dir, SOCKET_NAME))
        served = [(make_app(database, None, turns), listener)]
        if tcp_port is not None:
            tcp = stack.enter_context(tcp_listener(tcp_port))
            served.append((make_app(database, token, turns), tcp))
        serve_apps(served)


if __name__ == "__main__":
    sys.exit(main())
