"""Uploads by tus 1.0: the client of the protocol's authors, and what it never asks."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import signal

import pytest
from gui_harness import Answer, Scene
from store_checks import until

from gui.core.server_process import api_process

PATH = "/api/v1/uploads"
PIECE = "application/offset+octet-stream"
client = pytest.importorskip("tusclient.client", reason="tuspy is not installed")


@pytest.fixture
def oto(served: Scene) -> str:
    return served.token("oto", "operator")


def ask(
    served: Scene, token: str, method: str, path: str, body: bytes = b"", **more: str
) -> Answer:
    headers = {"Authorization": token, "Tus_Resumable": "1.0.0", **more}
    return served.ask(method, path, body, **headers)


def began(served: Scene, token: str, size: int, **more: str) -> str:
    answer = ask(served, token, "POST", PATH, Upload_Length=str(size), **more)
    assert answer.status == 201, answer.body
    return answer.headers["location"]


def sent(served: Scene, token: str, at: str, offset: int, body: bytes, **more: str) -> Answer:
    given = {"Content_Type": PIECE, "Upload_Offset": str(offset), **more}
    return ask(served, token, "PATCH", at, body, **given)


@pytest.mark.fault
def test_the_client_goes_on_at_the_byte_after_the_server_was_killed(served: Scene, oto: str):
    data = os.urandom(3 << 20)
    tus = client.TusClient(served.address + PATH, headers={"Authorization": oto})
    metadata = {"filename": "a film.mp4", "filetype": "video/mp4", "source": "films"}
    first = tus.uploader(
        file_stream=io.BytesIO(data), chunk_size=1 << 20, metadata=metadata, upload_checksum=True
    )
    first.upload_chunk()
    server = api_process(served.config).find()
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: api_process(served.config).find() is None, "it is gone")
    served.address = api_process(served.config).start()[0].address
    at = first.url.replace(first.url.partition("/api/")[0], served.address)
    tus = client.TusClient(served.address + PATH, headers={"Authorization": oto})
    second = tus.uploader(file_stream=io.BytesIO(data), chunk_size=1 << 20, url=at)
    assert second.offset == 1 << 20
    second.upload()
    looked = ask(served, oto, "HEAD", at.removeprefix(served.address))
    assert looked.headers["upload-offset"] == str(len(data))
    request = ask(served, oto, "GET", looked.headers["drystone-request"]).document
    (part,) = request["part_states"]
    assert part["system_id"] == hashlib.sha256(data).hexdigest()
    assert part["file_name"] == "a film.mp4" and request["source"] == "films"


def test_what_the_protocol_asks_for(served: Scene, oto: str):
    told = ask(served, oto, "OPTIONS", PATH)
    assert told.status == 204 and "concatenation" in told.headers["tus-extension"]
    other = ask(served, oto, "POST", PATH, Upload_Length="1", Tus_Resumable="0.2.0")
    assert (other.status, other.headers["tus-version"]) == (412, "1.0.0")
    at = began(served, oto, 10)
    wrong = "sha1 " + base64.b64encode(hashlib.sha1(b"other").digest()).decode()
    assert sent(served, oto, at, 0, b"12345", Upload_Checksum=wrong).status == 460
    assert ask(served, oto, "HEAD", at).headers["upload-offset"] == "0"
    assert sent(served, oto, at, 3, b"12345").status == 409
    assert sent(served, oto, at, 0, b"12345", Content_Type="text/plain").status == 415
    assert sent(served, oto, at, 0, b"12345").headers["upload-offset"] == "5"
    assert sent(served, oto, at, 5, b"1234567").status == 400
    ada = served.token("ada", "admin")
    assert ask(served, ada, "HEAD", at).status == 404, "it is another's"
    assert ask(served, oto, "DELETE", at).status == 204
    assert ask(served, oto, "HEAD", at).status == 404
    pieces = [began(served, oto, 5, Upload_Concat="partial") for _ in range(2)]
    for piece, data in zip(pieces, (b"one, ", b"two.."), strict=True):
        assert sent(served, oto, piece, 0, data).status == 204
    named = "filename " + base64.b64encode(b"both.txt").decode()
    final = "final;" + " ".join(pieces)
    joined = ask(served, oto, "POST", PATH, Upload_Concat=final, Upload_Metadata=named)
    assert joined.status == 201, joined.body
    request = ask(served, oto, "GET", joined.headers["drystone-request"]).document
    assert request["part_states"][0]["system_id"] == hashlib.sha256(b"one, two..").hexdigest()
    path = "filename " + base64.b64encode(b"../up.txt").decode()
    refused = ask(served, oto, "POST", PATH, Upload_Length="1", Upload_Metadata=path)
    assert refused.status == 400 and "no name of a file" in refused.document["detail"]
    vera = served.token("vera", "viewer")
    assert ask(served, vera, "POST", PATH, Upload_Length="1").status == 403
    lying = os.path.join(served.store.config.area_path("3a"), ".uploads")
    assert os.listdir(lying) == []
