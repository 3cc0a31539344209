"""The logs of a run: it owns which attempt is shown, following it, and looking for words in it."""

from __future__ import annotations

import functools
from typing import NamedTuple

from nicegui import ui

from base.errors import UsageError
from gui.pages.runs.log import PROGRAM, LogPiece, find_lines, has_log, program_log, read_piece
from gui.pages.runs.view import task_name
from gui.reading.followed import READING
from gui.reading.poller import Poller
from gui.widgets.acts import tell
from gui.widgets.blocks import attributes, box, button, card, clean, empty, size, text
from gui.widgets.view import View, follow
from sql import RunDetail

CHOICES_MAX = 300
ENDED = ("partial", "failed", "cancelled")
WRONG = ("failed", "retry", "lost")
FOUND_LENGTH_MAX = 18_000


class LogChoice(NamedTuple):
    """One log that can be shown."""

    path: str
    label: str
    task_id: int
    went_wrong: bool = False
    has_program: bool = False
    """Whether the words of its program lie beside it."""


def choices_of(detail: RunDetail, log_dir: str) -> tuple[LogChoice, ...]:
    """Return the logs of a run's attempts, the latest attempt first; looks at the files there."""
    names = {task.task_id: task_name(task) for task in detail.tasks}
    attempts = sorted(detail.attempts, key=lambda one: one.start_time, reverse=True)
    return tuple(
        LogChoice(
            one.log_path,
            f"{names.get(one.task_id, 'task')}, attempt {one.attempt}: {one.outcome or 'runs'}",
            one.task_id,
            one.outcome in WRONG,
            has_log(log_dir, program_log(one.log_path)),
        )
        for one in attempts[:CHOICES_MAX]
        if one.log_path is not None
    )


class RunLogs:
    """The log panel in one browser. It reads a tail, and never more than a piece at a time."""

    def __init__(self, view: View) -> None:
        self._desk = view.desk
        self._log_dir = view.desk.jobs_config.log_dir
        assert view.poller is not None
        self._poller = view.poller
        self._path, self._following = "", True
        self._chosen_by_hand = False
        self._piece: LogPiece | None = None
        self._tail: Poller | None = None
        self._client = ui.context.client
        with card("Log") as self._card:
            with box("toolbar"):
                self._choice = ui.select(
                    {}, label="Attempt", on_change=lambda event: self._show(event.value or "")
                )
                self._choice.props("outlined dense options-dense").style("min-width: 260px")
                self._choice.on("update:model-value", self._note_choice)
                self._search = ui.input("Look for").props("outlined dense clearable maxlength=200")
                self._search.on("keydown.enter", self._find)
                self._search.on("clear", self._read_again)
                self._count = text("", "count")
                attributes(self._count, role="status")
                self._earlier = button("Earlier", self._step_back, "small")
                self._follow = button("Follow", self._go_to_end, "small")
            with box("log-frame") as frame:
                attributes(frame, tabindex="0", role="region", aria_label="Log")
                self._lines = text("", "log", "pre")
            self._nothing = box("stack")

    async def show(self) -> None:
        """Show the log that matters most, and take in new attempts as they come."""
        self._poller.watch(self, self._take_in)
        self._client.on_delete(lambda: self._poller.unwatch(self))
        self._take_in()
        reading = self._poller.value(READING)
        state = reading.head.state
        # The first that failed is why: what is summed up at the end fails of it.
        failed = [one.task_id for one in reading.tasks if one.state == "failed"]
        wrong = failed or [one.task_id for one in self._choices() if one.went_wrong]
        if wrong and state in ENDED:
            self._choose(wrong[0])
        elif state == "done":
            programs = [path for path in self._choice.options if path.endswith(f"{PROGRAM}.log")]
            if programs:
                self._choice.value = programs[-1]

    async def choose(self, task_id: int) -> None:
        """Show the latest log of a task."""
        self._note_choice()
        if self._choose(task_id):
            self._card.run_method("scrollIntoView")
        else:
            tell("This task has not begun yet; there is no log.")

    def _choose(self, task_id: int) -> bool:
        """Choose the log of the latest attempt of a task, its program's where there is one."""
        for choice in self._choices():
            if choice.task_id == task_id:
                program = program_log(choice.path)
                known = self._choice.options
                self._choice.value = program if program in known else choice.path
                return True
        return False

    def _choices(self) -> tuple[LogChoice, ...]:
        return self._poller.value(READING).logs

    def _take_in(self) -> None:
        """Offer the attempts there are now; a new one is shown when the end is followed."""
        if self._client.is_deleted:
            self._poller.unwatch(self)
            return
        labels: dict[str, str] = {}
        for choice in self._choices():
            if choice.has_program:
                labels[program_log(choice.path)] = clean(f"{choice.label} (its program)")
            labels[choice.path] = clean(choice.label)
        # A browser answers with the place in the list: none that is there may move.
        known: dict[str, str] = dict(self._choice.options)
        options = {path: labels.get(path, label) for path, label in known.items()}
        options |= {path: labels[path] for path in reversed(labels) if path not in known}
        if options == known:
            return
        newest = next(iter(labels), "")
        is_new = newest not in known
        with self._client:
            self._nothing.clear()
            if not options:
                with self._nothing:
                    empty("There is no log yet.", "It comes with the first attempt.")
            self._choice.set_options(options)
            if is_new and self._following and not self._chosen_by_hand and not self._search.value:
                self._choice.value = newest

    def _note_choice(self) -> None:
        """Remember that a person chose: a new attempt does not take the place of that log."""
        self._chosen_by_hand = True

    # ---- One log ---------------------------------------------------------------------------------

    async def _show(self, path: str) -> None:
        if path == self._path or not path:
            return
        self._leave()
        self._path = path
        self._search.value = ""
        await self._go_to_end()

    async def _go_to_end(self) -> None:
        """Follow the end of the log."""
        path = self._path
        if not path:
            return
        self._following = True
        self._search.value = ""
        read = functools.partial(read_piece, self._log_dir, path)
        try:
            with self._client:
                tail = await follow(self._desk, f"log {path}", read)
        except UsageError as error:
            if path == self._path:
                self._write(str(error), "")
            return
        if path != self._path:
            # Another log was chosen while this one was opened.
            self._stop_following(path, tail)
            return
        self._tail = tail
        tail.watch(self, self._tell)
        self._tell()

    def _tell(self) -> None:
        if self._client.is_deleted or self._tail is None:
            self._leave()
        elif self._following:
            self._show_piece(self._tail.value(READING))

    async def _step_back(self) -> None:
        """Show the piece before; the end is not followed any more."""
        if self._piece is None or not self._piece.begin:
            tell("This is the beginning of the log.")
            return
        self._following = False
        await self._read(self._piece.begin)

    async def _read_again(self) -> None:
        await self._go_to_end()

    async def _read(self, end: int) -> None:
        try:
            piece = await self._desk.work(read_piece, self._log_dir, self._path, end)
        except UsageError as error:
            tell(str(error), bad=True)
            return
        self._show_piece(piece)

    async def _find(self) -> None:
        words = str(self._search.value or "").strip()
        if not words or not self._path:
            await self._go_to_end()
            return
        self._following = False
        try:
            found = await self._desk.work(find_lines, self._log_dir, self._path, words)
        except UsageError as error:
            tell(str(error), bad=True)
            return
        shown = "\n".join(found)[-FOUND_LENGTH_MAX:]
        self._write(shown or "No line has these words.", f"{len(found)} lines found")

    def _show_piece(self, piece: LogPiece) -> None:
        self._piece = piece
        where = "the end is followed" if self._following else f"from {size(piece.begin)} on"
        self._write(piece.text or "The log is empty.", f"{size(piece.size_bytes)}, {where}")

    def _write(self, lines: str, said: str) -> None:
        self._lines.text = clean(lines)
        self._count.text = clean(said)

    def _leave(self) -> None:
        """Stop following the log that is shown."""
        if self._tail is not None:
            self._stop_following(self._path, self._tail)
            self._tail = None

    def _stop_following(self, path: str, tail: Poller) -> None:
        tail.unwatch(self)
        self._desk.followed.leave(f"log {path}", self._client)
