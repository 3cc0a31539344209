"""Words for people: what pages make of documents, browsers and kinds of nodes."""

from __future__ import annotations

import pytest

from gui.pages.account.page import browser_words
from gui.pages.users.page import asked_words
from gui.widgets.explorer_routes import kind_of
from gui.widgets.words import listed
from sql import ExploredNode


def test_a_document_is_read_without_its_brackets():
    assert listed({"area": 3.5, "is_crowd": False, "by": None}) == "area: 3.5, is crowd: no"
    assert listed(["a", ["b", {"c": True}]]) == "a, b, c: yes"
    assert listed(None) == "" and listed("[as it is]") == "[as it is]" and listed(0) == "0"


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ('{"name": "red", "role": "guest"}', "name: red, role: guest"),
        ('{"cut off at its en', '{"cut off at its en'),
        ("[1, 2]", "[1, 2]"),
        ("", ""),
    ],
)
def test_a_request_of_the_audit_log_is_no_json(request_: str, shown: str):
    assert asked_words(request_) == shown


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
         "Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
         "Gecko) Version/18.0 Mobile/15E148 Safari/604.1", "Safari on an iPhone"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:142.0) Gecko/142.0 Firefox/142.0",
         "Firefox on Android"),
        ("curl/8.5.0", "curl/8.5.0"),
    ],
)  # fmt: skip
def test_a_browser_is_called_as_people_call_it(agent: str, shown: str):
    assert browser_words(agent) == shown


@pytest.mark.parametrize(
    ("description", "media_type", "kind"),
    [
        ("people:collection:Favourites", None, "collection"),
        ("file:username:ann", None, "author"),
        ("openclipart:post:a/b", None, "post"),
        ("", "image", "image"),
        ("", None, "description"),
    ],
)
def test_a_node_without_a_picture_says_what_it_is(
    description: str, media_type: str | None, kind: str
):
    made = ExploredNode(1, "0" * 64, None, None, media_type, description, "", "", "")
    assert kind_of(made) == kind
