"""The bodies of requests in the API's description: it owns their schemas, and reads no body.

Selectors and intents are parsed by our own readers, so FastAPI does not know what they are.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sql.intent.intent import WriteIntent
from sql.selector.selector import Selector

# A selector and an answer may both have a part of one name.
_PREFIX = "request."
_REFERENCE = f"#/components/schemas/{_PREFIX}{{model}}"


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a route says about its body."""
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe_bodies(app: FastAPI) -> None:
    """Add the schemas of selectors and intents to the description of an application."""
    plain = app.openapi
    models = (Selector, WriteIntent)

    def openapi() -> dict[str, Any]:
        described = plain()
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        wanted = [(model, "validation") for model in models]
        _, definitions = models_json_schema(wanted, ref_template=_REFERENCE)  # pyright: ignore[reportArgumentType]
        named = definitions["$defs"].items()
        schemas.update({_PREFIX + name: schema for name, schema in named})
        return described

    app.openapi = openapi
