"""Batches and schedules of actions by form, in a real Chromium: which files, how many, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import runs_harness
from runs_harness import Workshop
from test_gui_browser import Watched
from test_gui_runs_browser import choose

VIEW = "Drawings of mine"


@pytest.fixture(scope="module")
def work(database_server: str, database_template: str) -> Iterator[Workshop]:
    """A store with a worker and an action, served."""
    with runs_harness.workshop(database_server, database_template) as made:
        made.yard.add_action("measure")
        yield made


@pytest.fixture
def oto(chromium, work: Workshop) -> Iterator[Watched]:
    """A browser of an operator, who has saved a view."""
    made = Watched(chromium, work, viewport={"width": 1440, "height": 900})
    made.log_in("oto")
    made.open("/explorer?extension=png")
    made.page.wait_for_selector(".count:has-text('6 nodes')")
    made.page.click("button:text-is('Save view')")
    made.page.fill(".dialog [aria-label='Name']", VIEW)
    made.page.click(".dialog button:text-is('Save')")
    made.page.wait_for_url("**/explorer?view=*")
    yield made
    assert made.problems == []
    made.close()


def nodes_of(work: Workshop, batch: int) -> int:
    return work.database.action_context.batch(batch).nodes


def batch_shown(oto: Watched) -> int:
    oto.page.wait_for_url("**/pipelines/batch/*")
    return int(oto.page.url.rpartition("/")[2])


def test_batches_are_made_by_form(work: Workshop, oto: Watched):
    page = oto.page
    oto.open("/pipelines")
    page.click("button:text-is('Make a batch')")
    # Without files and without an action there is nothing to make a batch of, and it is said.
    page.click(".dialog button:text-is('Make the batch')")
    page.wait_for_selector("text=say which nodes: give a selector")
    page.click("button:text-is('Make a batch')")
    choose(oto, "view", VIEW)
    choose(oto, "action", "measure")
    page.fill(".dialog [aria-label^='At most so many files']", "4")
    page.click(".dialog button:text-is('Make the batch')")
    assert nodes_of(work, batch_shown(oto)) == 4
    page.wait_for_selector("a:has-text('Run an action over it')")
    # Of what is chosen in the explorer, too.
    oto.open("/explorer?extension=png")
    page.wait_for_selector(".ds-tile >> nth=5")
    page.focus(".ds-tile[tabindex='0']")
    page.keyboard.press("Control+a")
    page.click(".chosen-bar >> text=Make a batch")
    page.wait_for_selector(".dialog h2:has-text('Make a batch of 6 chosen')")
    page.click(".dialog button:text-is('Make the batch')")
    assert nodes_of(work, batch_shown(oto)) == 6


def test_an_action_over_a_view_runs_by_the_clock_so_many_at_a_time(work: Workshop, oto: Watched):
    page = oto.page
    oto.open("/scheduler/start/ua_2?action=measure")
    choose(oto, "input", "what a saved view finds")
    choose(oto, "view", VIEW)
    page.fill("[aria-label^='At most so many files a batch']", "4")
    page.click("button:text-is('Dry run')")
    page.wait_for_selector(".metric:has-text('Nodes to do') .metric-value:text-is('4')")
    page.click("button:text-is('Schedule it')")
    page.fill(".dialog [aria-label^='Name']", "measured-nightly")
    page.click(".dialog button:text-is('on weekdays at 9')")
    page.wait_for_selector(".dialog >> text=/Fires .*09:00/")
    page.click(".dialog button:text-is('Make the schedule')")
    page.wait_for_url("**/scheduler/schedule/measured-nightly")
    page.wait_for_selector("text=Run an action: measure")
    sizes = []
    for _ in range(3):
        page.click("button:text-is('Fire now')")
        said = page.locator("text=/measured-nightly: run [0-9]+ was started/").last
        number = re.search(r"run (\d+)", said.inner_text())
        assert number
        work.yard.wait(int(number.group(1)), "done")
        (planned,) = work.database.runs.results(int(number.group(1)), "plan")
        sizes.append(planned.result["nodes"])
        said.wait_for(state="hidden")
    assert sizes == [4, 2, 0]
    # All is done by now, and that is no mistake: more may come.
    oto.open("/scheduler/start/ua_2?action=measure")
    page.fill("[aria-label^='At most so many files a batch']", "4")
    page.click("button:text-is('Dry run')")
    page.wait_for_selector(".metric:has-text('Nodes to do') >> text=6 are done already")
    page.wait_for_selector("button:text-is('Schedule it')")
