"""Acts: how what a person wants is asked for, checked, done and answered.

An act asks in a dialog where it must, checks the role of now, does it in a thread, and says how it
went. Operations need no more than their name: the dialog comes from the model of their request.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from nicegui import ui
from pydantic import BaseModel, ValidationError

from base.errors import DrystoneError, UsageError
from base.operations.operation import GUEST, Caller, NoRequest, problem_lines
from base.operations.witness import told, witnessed
from gui.access.roles import may_ask, require
from gui.reading.desk import Desk
from gui.widgets.blocks import box, button, clean, text
from gui.widgets.forms import FormView, fields_of, shown_value
from gui.widgets.frame import visitor
from sql import Role

P = ParamSpec("P")
Model = TypeVar("Model", bound=BaseModel)

READINGS = frozenset({"_try", "_read", "_previewed"})
"""Functions of acts that only look."""
Choices = tuple[tuple[Any, str], ...]
"""Values with what they are called."""
Done = str | Callable[[Any], str]
"""What is said when it is done, or what makes that of the result."""


async def act(
    desk: Desk,
    role: Role | None,
    done: Done,
    function: Callable[P, Any],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Any:
    """Do what a person asked for, if the person may, and say how it went; None when it failed.

    The person's role is asked for anew: a page may have been open for days. None is for everybody
    who is logged in. All that is shown is read anew after that, and nobody waits for it: it takes
    its time on a busy machine, and a part may hang. It is in the audit log, by the name of the
    function; those in `READINGS` change nothing.
    """
    name, caller = getattr(function, "__name__", "act"), caller_here()
    values = {"done": done} if isinstance(done, str) else {}

    def work() -> Any:
        if name in READINGS:
            return function(*args, **kwargs)
        with told(desk.witness, f"page.{name.strip('_<>')}", caller, values, "page"):
            return function(*args, **kwargs)

    return await _do(desk, role, done, work)


async def _do(desk: Desk, role: Role | None, done: Done, work: Callable[[], Any]) -> Any:
    try:
        person = await desk.work(desk.sessions.still, visitor())
        if person is None:
            ui.navigate.to("/login")
            return None
        if role is not None:
            require(person, role)
        result = await desk.work(work)
    except Exception as error:
        if not isinstance(error, DrystoneError):
            tell(
                "This went wrong in a way that nobody thought of; see gui.log in the run folder",
                bad=True,
            )
            raise
        tell(str(error), bad=True)
        return None
    if said := done(result) if callable(done) else done:
        tell(said)
    desk.hurry()
    return result if result is not None else True


async def operate(desk: Desk, name: str, values: dict[str, Any], done: Done = "") -> Any:
    """Ask for an operation as the person who looks, and say how it went; see `act`."""
    one, caller = desk.operation(name), caller_here()

    def asked() -> Any:
        request = one.request_of(values)
        with witnessed(desk.witness, one, caller, request, "page"):
            return one(desk.place(one), caller, request)

    # The operation looks at what a guest may; here only that it is one still.
    role = GUEST if may_ask(caller, one) and caller.role == GUEST else one.role
    return await _do(desk, role, done, asked)


def caller_here() -> Caller:
    """Return who looks at the current page, and from where."""
    person, request = visitor(), ui.context.client.request
    address = request.client.host if request and request.client else ""
    return Caller(person.name, person.role, person.user_id, address=address)


def act_button(
    desk: Desk,
    name: str,
    label: str,
    values: dict[str, Any],
    *,
    done: Done = "",
    title: str = "",
    lines: Sequence[str] = (),
    fields: Iterable[str] = (),
    word: str = "",
    agree: str = "",
    classes: str = "",
    then: Callable[[Any], None] | None = None,
) -> None:
    """Show the button of an operation to those whose role is enough.

    With a title it asks first: for these fields of the request, and whether it is meant; `agree` is
    what the button of that says. `then` is called with the answer.
    """
    one = desk.operation(name)
    if not may_ask(visitor(), one):
        return
    wanted = tuple(fields)

    async def pressed() -> None:
        asked = values
        if title:
            tone = "primary" if wanted else "danger"
            told = await ask(
                title, one.request, agree or label, lines=lines, given=values, fields=wanted,
                word=word, tone=tone,
            )  # fmt: skip
            if told is None:
                return
            asked = told.model_dump(exclude_unset=True)
        answer = await operate(desk, name, asked, done)
        if answer and then is not None:
            then(answer)

    button(label, pressed, classes)


def tell(message: str, *, bad: bool = False) -> None:
    """Show a short message; one about a failure stays until it is closed."""
    ui.notify(
        clean(message),
        type="negative" if bad else "positive",
        timeout=0 if bad else 4_000,
        close_button="Close" if bad else False,
        multi_line=True,
        position="bottom",
    )


# ---- Asking --------------------------------------------------------------------------------------


async def dialog(
    title: str,
    build: Callable[[], object],
    answers: Sequence[tuple[str, object, str]],
    classes: str = "",
    *,
    is_persistent: bool = False,
) -> Any:
    """Show a dialog and return the answer that was chosen, None when it was left.

    Each answer is a label, a value and the classes of its button; a value that is a function is
    called, and what it returns is the answer, unless that is None: then the dialog stays.
    """
    with (
        ui.dialog().props(add="persistent" if is_persistent else None) as made,
        box(f"dialog {classes}"),
    ):
        text(title, tag="h2")
        build()

        def choose(value: object) -> None:
            chosen = value() if callable(value) else value
            if chosen is not None:
                made.submit(chosen)

        with box("dialog-buttons"):
            for label, value, looks in answers:
                button(label, functools.partial(choose, value), looks)
    answer = await made
    made.delete()
    return answer


async def ask(
    title: str,
    model: type[Model],
    label: str,
    *,
    lines: Sequence[str] = (),
    given: dict[str, Any] | None = None,
    fields: Iterable[str] | None = None,
    word: str = "",
    tone: str = "primary",
    beside: Callable[[FormView], Callable[[], None]] | None = None,
    offers: Mapping[str, Choices] | None = None,
    classes: str = "",
) -> Model | None:
    """Ask for a document, and return it once it is sound; None when the dialog was left.

    Asked for are these fields of the model, in this order, or all of them; `given` is what they
    show at first, and what those have that are not asked for. `word` must be typed. `beside` builds
    what stands below the inputs, and returns what is called when one of them changes. `offers` are
    the values, with their words, among which a field is chosen.
    """
    known = given or {}
    names = tuple(model.model_fields if fields is None else fields)
    asked = fields_of(model, set(model.model_fields) - set(names))
    asked.sort(key=lambda one: names.index(one.name))
    if offers:
        asked = [
            one._replace(kind="choice", choices=offers[one.name]) if one.name in offers else one
            for one in asked
        ]
    form: FormView | None = None
    typed: Any = None
    told: Callable[[], None] | None = None

    def build() -> None:
        nonlocal form, typed, told
        for line in lines:
            text(line, tag="p")
        values = {one.name: shown_value(one, known.get(one.name, one.default)) for one in asked}
        if asked:
            form = FormView(asked, values, lambda: told() if told is not None else None)
            form.focus()
            if beside is not None:
                told = beside(form)
        if word:
            typed = ui.input(f"Type {word} to go on").props("outlined dense")

    def agreed() -> Model | None:
        if typed is not None and typed.value != word:
            tell(f"Type {word} to go on.", bad=True)
            return None
        rest = {name: value for name, value in known.items() if name not in names}
        try:
            return model.model_validate({**rest, **(form.filled() if form is not None else {})})
        except ValidationError as error:
            tell("\n".join(problem_lines(error)), bad=True)
        except UsageError as error:
            tell(str(error), bad=True)
        return None

    return (
        await dialog(title, build, (("Cancel", False, ""), (label, agreed, tone)), classes) or None
    )


async def confirm(title: str, lines: Sequence[str], label: str, *, word: str = "") -> bool:
    """Ask before something that cannot be undone; `word` must then be typed."""
    asked = await ask(title, NoRequest, label, lines=lines, word=word, tone="danger")
    return asked is not None
