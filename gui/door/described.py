"""The description of the API as a page, made here of openapi.json: it asks nothing of elsewhere."""

from __future__ import annotations

import functools
import html
import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from gui.access.needs import SOMEBODY, needing

PATH = "/api/v1/docs"
_METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
_HEAD = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8" /><title>API · Drystone</title>
<meta name="viewport" content="width=device-width, initial-scale=1" />
<link rel="icon" href="/static/mark.svg" type="image/svg+xml" />
<link rel="stylesheet" href="/static/drystone.css" /></head>
<body class="shared-page"><main><h1>The API</h1>
<p>Programs read <a href="/api/v1/openapi.json">openapi.json</a>.</p>
"""


def add_description(app: FastAPI) -> None:
    """Add the page; routes that are added later are in it, too."""
    page = functools.cache(lambda: _HEAD + "".join(_lines(app.openapi())) + "</main></body></html>")

    @app.get(PATH, include_in_schema=False, dependencies=needing(SOMEBODY))
    def described() -> HTMLResponse:
        return HTMLResponse(page())


def _lines(openapi: dict[str, Any]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for path, item in openapi["paths"].items():
        for method in _METHODS:
            if entry := item.get(method):
                tag = next(iter(entry.get("tags", ())), "others")
                groups.setdefault(tag, []).append(_entry(method.upper(), path, entry))
    for tag in sorted(groups):
        yield f"<h2>{html.escape(tag)}</h2>{''.join(groups[tag])}"
    schemas = openapi.get("components", {}).get("schemas", {})
    yield "<h2>Documents</h2>"
    for name in sorted(schemas):
        yield (
            f'<details id="{html.escape(name)}"><summary>{html.escape(name)}</summary>'
            f"{_json(schemas[name])}</details>"
        )


def _entry(method: str, path: str, entry: dict[str, Any]) -> str:
    summary = html.escape(entry.get("summary", ""))
    told = html.escape(entry.get("description", "")).replace("\n\n", "</p><p>")
    given = "".join(
        f"<tr><td><code>{html.escape(one['name'])}</code></td><td>{html.escape(one['in'])}</td>"
        f"<td>{html.escape(one.get('description', ''))}</td></tr>"
        for one in entry.get("parameters", ())
    )
    bodies = entry.get("requestBody", {}).get("content", {})
    sent = "".join(
        f"<p>Body, <code>{html.escape(kind)}</code>:</p>{_json(one.get('schema', {}))}"
        for kind, one in bodies.items()
    )
    return (
        f"<details><summary><code>{method} {html.escape(path)}</code> {summary}</summary>"
        f"<p>{told}</p>{f'<table>{given}</table>' if given else ''}{sent}</details>"
    )


def _json(document: Any) -> str:
    return f"<pre>{html.escape(json.dumps(document, indent=1, ensure_ascii=False))}</pre>"
