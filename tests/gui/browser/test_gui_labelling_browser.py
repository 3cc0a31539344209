"""Labelling in a real Chromium, in real runs of AC5: with keys alone, and with the mouse."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import label_harness
import pytest
import runs_harness
from gui_harness import HOSTILE
from jobs_harness import until
from label_harness import ask
from runs_harness import Workshop
from test_gui_browser import Watched

from base.errors import UsageError

UNASKED = b"nobody,is,asked\n1,2,3\n"


@pytest.fixture(scope="module")
def work(database_server: str, database_template: str) -> Iterator[Workshop]:
    """A store with a worker, ten photographs, people who label, and the pages."""
    with runs_harness.workshop(database_server, database_template) as made:
        label_harness.add_labellers(made)
        label_harness.add_files(made, "photographs", label_harness.pictures(10))
        yield made


@pytest.fixture
def lea(chromium, work: Workshop) -> Iterator[Watched]:
    """A browser of somebody who labels."""
    made = Watched(chromium, work, viewport={"width": 1280, "height": 800})
    made.log_in("lea")
    made.open("/labelling")
    yield made
    made.close()


def rows(work: Workshop, query: str) -> list[tuple]:
    return work.yard.rows(query)


def shows(watched: Watched, *, other_than: str = "") -> str:
    """Wait for a task in sight; returns its number."""
    watched.page.wait_for_function(
        "other => (document.querySelector('.label-stage')?.dataset.task ?? other) !== other",
        arg=other_than,
    )
    return watched.page.get_attribute(".label-stage", "data-task") or ""


def has_said(watched: Watched, count: int) -> None:
    watched.page.wait_for_selector(f".label-status:text-is('{count} answered here')")


def run_of(work: Workshop, event_id: int) -> int:
    return int(work.database.labels.runs(event_id)[0].run_reference.removeprefix("run:"))


def test_ten_images_are_labelled_by_keyboard_and_the_run_goes_on(work: Workshop, lea: Watched):
    page = lea.page
    event = ask(work, "ten", 930, ["cat", "dog", HOSTILE], "jpg", question=f"Who? {HOSTILE}")
    # From the list by keyboard too: the first link of the page's content.
    lea.open("/labelling")
    page.wait_for_selector("h2:has-text('Who?')")
    assert page.inner_text(".card h2") == f"Who? {HOSTILE}"
    page.focus("a:has-text('Start labelling')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".label-class")
    assert page.locator(".label-name").all_inner_texts()[:3] == ["cat", "dog", HOSTILE]
    shows(lea)
    task, seen = "", set()
    for number in range(10):
        task = shows(lea, other_than=task)
        seen.add(task)
        if number == 3:
            page.keyboard.press("2")
            after = shows(lea, other_than=task)
            has_said(lea, 4)
            # A slip: taken back, shown again with what was said, and said otherwise.
            page.keyboard.press("u")
            assert shows(lea, other_than=after) == task
            page.wait_for_selector(".label-class.on:has-text('dog')")
            page.keyboard.press("3")
        else:
            page.keyboard.press("1")
    assert len(seen) == 10
    page.wait_for_selector("text=Everything is answered")
    run_id = run_of(work, event)
    work.yard.wait(run_id, "done")
    counts = dict(rows(work, "SELECT label, count(*) FROM result_ten GROUP BY 1"))
    assert counts == {"cat": 9, HOSTILE: 1}
    assert work.database.labels.runs(event)[0].state == "done"
    page.wait_for_selector("text=10 of 10")
    page.wait_for_selector("text=this labelling has ended")
    assert page.evaluate("window.hacked") is None
    assert lea.problems == []
    lea.open(f"/labelling/{event}")
    page.wait_for_selector("text=This labelling is done.")


def test_boxes_are_drawn_with_the_mouse_and_with_keys(work: Workshop, lea: Watched):
    label_harness.add_files(work, "turned", {"turned.jpeg": label_harness.turned_picture()})
    page = lea.page
    event = ask(work, "mark", 931, ["face", "hand"], "jpeg", kind="boxes")
    lea.open(f"/labelling/{event}")
    shows(lea)
    # Until the picture is there, the board on it has no size.
    page.wait_for_function("document.querySelector('.label-stage img')?.style.width")
    area = page.locator(".label-board").bounding_box()
    assert area is not None
    # As it is turned for the eye: 300 x 400, and so is the picture in sight.
    assert abs(area["width"] / area["height"] - 3 / 4) < 0.01

    def point(u: float, v: float) -> tuple[float, float]:
        return area["x"] + u * area["width"], area["y"] + v * area["height"]

    # The red patch: stored at (100, 200) to (200, 260), seen at u = 1 - y, v = x.
    page.keyboard.press("2")
    page.mouse.move(*point(1 - 260 / 300, 100 / 400))
    page.mouse.down()
    page.mouse.move(*point(0.3, 0.4), steps=4)
    page.mouse.move(*point(1 - 200 / 300, 200 / 400), steps=4)
    page.mouse.up()
    page.wait_for_selector(".label-box.chosen:has-text('hand')")
    # The class is for the next one; a box that somebody clicks gets it.
    page.keyboard.press("1")
    page.wait_for_timeout(100)
    assert page.locator(".label-box.chosen:has-text('hand')").count() == 1
    page.mouse.click(*point(1 - 230 / 300, 150 / 400))
    page.keyboard.press("1")
    page.wait_for_selector(".label-box.chosen:has-text('face')")
    page.keyboard.press("2")
    page.wait_for_selector(".label-box.chosen:has-text('hand')")
    # Another one by keys alone: made, named, moved, made larger; and one too many, taken away.
    page.keyboard.press("n")
    page.keyboard.press("1")
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowRight", "n", "Delete", "n", "z"):
        page.keyboard.press(key)
    page.wait_for_selector(".label-save:has-text('Save 2 boxes')")
    assert page.locator(".label-list .button").count() == 2
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Everything is answered")
    work.yard.wait(run_of(work, event), "done")
    found = rows(work, "SELECT label, x, y, width, height FROM result_mark ORDER BY label DESC")
    (label, *hand), (_, *face) = found
    assert label == "hand" and hand == pytest.approx([100, 200, 100, 60], abs=2.5)
    # 0.375 and 0.25 of the picture in sight, moved by 1/200 and widened by one.
    assert face == pytest.approx([148, 111, 100, 76.5], abs=2)
    assert lea.problems == []


def test_a_skip_is_no_answer_and_a_lost_server_loses_nothing(work: Workshop, lea: Watched):
    label_harness.add_files(work, "bitmaps", label_harness.pictures(3, "bmp"))
    page = lea.page
    event = ask(work, "calm", 932, ["yes", "no"], "bmp")
    lea.open(f"/labelling/{event}")
    first = shows(lea)
    page.keyboard.press("s")
    second = shows(lea, other_than=first)
    has_said(lea, 1)
    lea.context.set_offline(True)
    page.keyboard.press("1")
    third = shows(lea, other_than=second)
    page.wait_for_selector(".label-alert:has-text('Your answers are kept here')")
    page.keyboard.press("2")
    page.wait_for_selector("text=Nothing is left for you here.")
    lea.context.set_offline(False)
    has_said(lea, 3)
    progress = work.database.labels.progress(event)
    assert (progress.tasks, progress.complete, progress.skips) == (3, 2, 1)
    said = {one.task_id: one.document for one in work.database.labels.current(event)}
    assert said == {int(first): None, int(second): {"class": "yes"}, int(third): {"class": "no"}}
    # What one skipped somebody else answers; then the run goes on.
    work.database.labels.add_answer(int(first), "lou", {"class": "no"})
    page.wait_for_selector("text=Everything is answered")
    work.yard.wait(run_of(work, event), "done")
    lost = ("ERR_INTERNET_DISCONNECTED", "WebSocket")
    assert [line for line in lea.problems if not any(word in line for word in lost)] == []


def test_two_people_get_different_tasks_and_their_agreement_shows(
    chromium, work: Workshop, lea: Watched
):
    label_harness.add_files(work, "tiffs", {f"{n}.gif": gif for n, gif in enumerate(_gifs(6))})
    event = ask(work, "both", 933, ["yes", "no"], "gif")
    lou = Watched(chromium, work)
    lou.log_in("lou")
    for watched in (lea, lou):
        watched.open(f"/labelling/{event}")
    assert shows(lea) != shows(lou)
    lea.page.keyboard.press("1")
    has_said(lea, 1)
    # What the other does shows here, without anything being pressed.
    lou.page.wait_for_selector(".label-figures:has-text('1 of 6')")
    assert lou.problems == []
    lou.close()


def test_a_question_is_made_by_a_form_and_asks_only_whom_it_names(chromium, work: Workshop):
    oto = Watched(chromium, work, viewport={"width": 1280, "height": 800})
    page = oto.page
    oto.log_in("oto")
    oto.open("/explorer?extension=jpg")
    page.wait_for_selector(".ds-tile >> nth=2")
    page.focus(".ds-tile[tabindex='0']")
    for key in ("Space", "ArrowRight", "Space"):
        page.keyboard.press(key)
    page.locator(".chosen-bar", has_text="2 chosen").wait_for()
    page.click(".chosen-bar >> text=Ask people")
    page.fill(".dialog [data-field=name]", "human_boxes")
    page.fill(".dialog [data-field=question]", "Bright or dark?")
    page.fill(".dialog [data-field=classes]", "bright\ndark")
    page.fill(".dialog [data-field=people]", "lou")
    page.click(".dialog >> text=Make the question")
    page.wait_for_selector("text=/there is an action human_boxes already/")
    page.click(".q-notification >> text=Close")
    # What was chosen is still chosen.
    page.click(".chosen-bar >> text=Ask people")
    page.fill(".dialog [data-field=name]", "brightness")
    page.fill(".dialog [data-field=question]", "Bright or dark?")
    page.fill(".dialog [data-field=classes]", "bright\ndark")
    page.fill(".dialog [data-field=people]", "lou")
    page.click(".dialog >> text=Make the question")
    page.wait_for_url("**/scheduler/start/ua_2?*")
    page.click("text=Dry run")
    page.wait_for_selector("text=Exactly this is started.")
    page.click("button:text-is('Start')")
    page.wait_for_url("**/runs/*")

    def asked() -> list:
        return [one for one in work.database.labels.runs() if one.action == "brightness"]

    until(lambda: bool(asked()), lambda: "the question")
    (run,) = asked()
    assert rows(work, "SELECT count(*) FROM label_task WHERE action_event_id = "
                f"{run.event_id}") == [(2,)]  # fmt: skip
    for name, status in (("lea", 403), ("lou", 200)):
        cookie = work.log_in(name)
        answer = work.ask("GET", f"/labelling/{run.event_id}/tasks", cookie=cookie)
        assert answer.status == status, answer.body
    oto.close()


def test_who_labels_sees_nothing_else(work: Workshop, lea: Watched):
    page = lea.page
    assert page.locator(".nav-link").all_inner_texts() == ["Labelling"]
    for path in ("/explorer", "/storage", "/backups", "/users", "/runs", "/scheduler", "/node/1",
                 "/datasets"):  # fmt: skip
        lea.open(path)
        page.wait_for_selector("h1:has-text('Not for your role')")
    lea.open("/account")
    page.wait_for_selector("h1:has-text('Your account')")
    # One's own matters are everybody's.
    page.click("button:has-text('Make a token')")
    page.get_by_label("What is it for?").fill("my script")
    page.click("button:has-text('Make it')")
    page.wait_for_selector("h2:has-text('Token my script')")
    with pytest.raises(UsageError):
        work.token("lea", "viewer")
    cookie = work.log_in("lea")
    nodes = work.ask("GET", "/explorer/nodes", cookie=cookie)
    assert nodes.document["nodes"] == [] and "viewer" in nodes.document["problems"][0]
    assert work.ask("GET", "/", cookie=cookie).headers["location"] == "/labelling"
    token = work.token("lea", "labeller")
    assert work.ask("GET", "/api/v1/overview", authorization=token).status == 403
    assert work.ask("GET", "/api/v1/me", authorization=token).document["role"] == "labeller"


def test_routes_refuse_what_does_not_fit(work: Workshop, lea: Watched):
    event = ask(work, "strict", 934, ["yes", "no"], "jpg")
    lea_cookie, vera = work.log_in("lea"), work.log_in("vera")
    tasks = work.ask("GET", f"/labelling/{event}/tasks", cookie=lea_cookie).document["tasks"]
    task = tasks[0]["id"]

    def post(path: str, body: object, cookie: str = lea_cookie, **headers: str | None):
        given = {"content_type": "application/json", "cookie": cookie, **headers}
        return work.ask("POST", f"/labelling/{path}", json.dumps(body).encode(), **given)

    yes = {"task": task, "document": {"class": "yes"}}
    assert post(f"{event}/answer", yes, cookie=vera).status == 403
    assert post(f"{event}/answer", yes, Origin="http://elsewhere.test").status == 403
    assert post(f"{event}/answer", yes, Origin=None).status == 403
    for document in ({"class": "maybe"}, {"class": "yes", "more": 1}, {}, {"boxes": []}):
        answer = post(f"{event}/answer", {"task": task, "document": document})
        assert answer.status == 400 and answer.document["detail"]
    for body in ([], {"task": "x"}, {"task": 0}, {"task": task, "document": []}, {"held": [1]}):
        assert post(f"{event}/answer", body).status == 422
    assert post(f"{event}/answer", {"task": 10**9, "document": None}).status == 404
    assert post(f"{10**9}/answer", yes).status == 404
    assert list(work.database.labels.current(event)) == []
    # The same twice, as a browser sends it that got no reply, is one answer.
    assert post(f"{event}/answer", yes).status == post(f"{event}/answer", yes).status == 200
    assert len(work.database.labels.history(task)) == 1
    assert post(f"{event}/undo", {}).document["task"]["answer"] == {"class": "yes"}
    assert post(f"{event}/undo", {}).document["task"] is None
    # What is played comes as what it is, in pieces, and apart from our pages; texts as text.
    real = work.database.labels.task(task).key
    piece = work.ask("GET", f"/labelling/media/{real}.mp4", cookie=lea_cookie, Range="bytes=0-9")
    assert (piece.status, len(piece.body)) == (206, 10)
    assert piece.headers["content-type"] == "video/mp4"
    assert "sandbox" in piece.headers["content-security-policy"]
    # A viewer, who may download it, plays it too.
    assert work.ask("GET", f"/labelling/media/{real}.mp4", cookie=vera).status == 200
    assert work.ask("GET", f"/labelling/text/{real}", cookie=lea_cookie).document["text"]
    # Media: by key only, as what it is, and never as a page.
    key = "0" * 64
    assert work.ask("GET", f"/labelling/media/{key}.html", cookie=lea_cookie).status == 404
    assert work.ask("GET", f"/labelling/media/{key}.mp4", cookie=lea_cookie).status == 404
    # Who only labels gets the bytes of what is asked about, and no others.
    label_harness.add_files(work, "unasked", {"unasked.csv": UNASKED})
    other = hashlib.sha256(UNASKED).hexdigest()
    for path in (f"labelling/text/{other}", f"labelling/media/{other}.mp4", f"content/{other}"):
        assert work.ask("GET", f"/{path}", cookie=lea_cookie).status == 404, path
    assert work.ask("GET", f"/content/{other}", cookie=vera).status == 200
    assert work.ask("GET", f"/content/{real}", cookie=lea_cookie).status == 200
    for asked, seen in ((real, False), (other, True)):
        picture = work.ask("GET", f"/thumbnail/{asked}", cookie=lea_cookie)
        assert (picture.headers.get("x-drystone-picture") == "away") is seen
    assert work.ask("GET", "/labelling/text/..%2f..%2fetc", cookie=lea_cookie).status in (404, 422)


def _gifs(count: int) -> list[bytes]:
    import io

    from PIL import Image

    found: list[bytes] = []
    for number in range(count):
        file = io.BytesIO()
        Image.new("RGB", (50, 50 + number), (number * 40, 10, 10)).save(file, "GIF")
        found.append(file.getvalue())
    return found
