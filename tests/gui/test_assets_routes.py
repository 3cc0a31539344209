"""Assets over HTTP: what an operator says of one, what a viewer reads, ranges of its bytes."""

from __future__ import annotations

import json

from gui_harness import Answer, Scene

PATH = "/api/v1/assets"


def ask(served: Scene, token: str, method: str, path: str = "", body: object = None) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    return served.ask(
        method, PATH + path, data, Authorization=token, Content_Type="application/json"
    )


def test_assets_are_listed_described_and_read(served: Scene):
    oto, vera = served.token("oto", "operator"), served.token("vera", "viewer")
    page = ask(served, vera, "GET", "?limit=1").document
    (one,) = page["assets"]
    behind = ask(served, vera, "GET", f"?limit=1&cursor={page['next']}").document["assets"]
    assert behind[0]["system_id"] != one["system_id"]
    # Not the newest, which may have no byte.
    known = ask(served, vera, "GET", "?limit=500").document["assets"]
    one = next(one for one in known if one["size_bytes"] > 100 and one["extension"] == "jpg")
    place = f"/{one['system_id']}"
    said = {"metadata": {"note": "<b>said</b>", "seen": 3}}
    assert ask(served, vera, "PATCH", place, said).status == 403
    assert ask(served, "", "GET", place).status == 401
    try:
        assert ask(served, oto, "PATCH", place, said).document["metadata"] == said["metadata"]
        gone = ask(served, oto, "PATCH", place, {"metadata": {"seen": None}})
        assert gone.document["metadata"] == {"note": "<b>said</b>"}
        assert ask(served, vera, "GET", place).document["metadata"] == {"note": "<b>said</b>"}
        assert ask(served, oto, "PATCH", place, {"metadata": {}}).status == 400
        assert ask(served, oto, "PATCH", "/" + "0" * 64, said).status == 404
        assert ask(served, oto, "PATCH", "/no-key", said).status == 422
    finally:
        whole = ask(served, oto, "PUT", place, {"metadata": {}})
    assert whole.document["metadata"] == {}
    size = one["size_bytes"]
    data = ask(served, vera, "GET", place + "/content").body
    assert len(data) == size
    part = served.ask("GET", PATH + place + "/content", Authorization=vera, Range="bytes=2-5")
    assert (part.status, part.body) == (206, data[2:6])
    head = ask(served, vera, "HEAD", place + "/content")
    assert (head.status, head.headers["content-length"]) == (200, str(size))
