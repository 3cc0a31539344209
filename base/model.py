"""Models of documents: never changed once made, and without a field that nobody knows."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


class Document(BaseModel):
    """The base of what is told, asked and configured."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def from_json(told: Any) -> Any:
    """Return what JSON text says; anything else as it is."""
    return json.loads(told) if isinstance(told, str) else told


JsonObject = Annotated[dict[str, Any], BeforeValidator(from_json)]
"""A document that may come as JSON text, as columns of the database hold it."""

JsonText = Annotated[str, PlainSerializer(json.loads, return_type=Any)]
"""JSON text, which is a document for whoever gets the whole."""

PlainText = Annotated[str, AfterValidator(lambda text: text.replace("\0", "\ufffd"))]
"""What is looked for in the database, where no column holds a NUL."""

RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""The number of a row of the database."""
