"""Arguments that several commands of this folder have."""

from __future__ import annotations

from typing import Annotated

import typer

RunArgument = Annotated[int, typer.Argument(metavar="RUN", min=1, help="Its number.")]
