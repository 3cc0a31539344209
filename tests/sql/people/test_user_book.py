"""People, sessions, tokens and saved views in the database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from base.errors import UsageError
from sql import Database, NotFoundError
from sql.people.scopes import scopes_of_role
from sql.people.user_book import (
    DELAY_S,
    FAILURES_ADDRESS_MAX,
    FAILURES_NAME_FREE,
    FAILURES_PAIR_MAX,
    LoginAttempt,
)

HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
KEY = b"k" * 32
IDLE_S = 3600.0


def opened(database: Database, name: str, key: bytes = KEY, lifetime_s: float = 60.0) -> None:
    attempt = database.users.begin_login(name, "here")
    database.users.open_session(
        attempt, key, address="here", browser="b", lifetime_s=lifetime_s, idle_s=IDLE_S
    )


def test_people_are_added_listed_and_refused(database: Database):
    users = database.users
    ann = users.add("ann", "admin", HASH)
    assert users.users() == [ann] and users.user("ann") == ann
    with pytest.raises(UsageError, match="already"):
        users.add("ann", "viewer", HASH)
    for name in ("", "Ann", "a b", "-x", "a" * 64, "a\n", "../a"):
        with pytest.raises(UsageError, match="cannot be a name"):
            users.add(name, "viewer", HASH)
    with pytest.raises(UsageError, match="no role"):
        users.add("bob", "king", HASH)
    with pytest.raises(UsageError, match="argon2id"):
        users.add("bob", "viewer", "secret")
    with pytest.raises(NotFoundError):
        users.user("nobody\0")


def test_the_last_admin_stays(database: Database):
    users = database.users
    users.add("ann", "admin", HASH)
    for change in (
        lambda: users.set_disabled("ann", is_disabled=True),
        lambda: users.set_role("ann", "viewer"),
    ):
        with pytest.raises(UsageError, match="only admin"):
            change()
    users.add("bob", "admin", HASH)
    users.set_disabled("bob", is_disabled=True)
    with pytest.raises(UsageError, match="only admin"):
        users.set_role("ann", "operator")
    users.set_disabled("bob", is_disabled=False)
    users.set_role("ann", "operator")
    assert users.user("ann").role == "operator"


def test_a_session_lives_until_it_ends(database: Database):
    users = database.users
    users.add("ann", "admin", HASH)
    users.add("bob", "viewer", HASH)
    opened(database, "bob")
    session = users.session(KEY, IDLE_S)
    assert session is not None and (session.name, session.role) == ("bob", "viewer")
    assert users.session(b"x" * 32, IDLE_S) is None
    users.end_session(KEY)
    assert users.session(KEY, IDLE_S) is None
    opened(database, "bob")
    users.set_disabled("bob", is_disabled=True)
    assert users.session(KEY, IDLE_S) is None
    with pytest.raises(UsageError, match="disabled"):
        opened(database, "bob")


def test_sessions_expire_by_age_and_by_idleness(database: Database):
    users = database.users
    users.add("ann", "admin", HASH)
    opened(database, "ann")
    with database.connection() as connection:
        connection.execute("UPDATE user_session SET seen_time = now() - interval '2 hours'")
    assert users.session(KEY, IDLE_S) is None
    opened(database, "ann", b"2" * 32)
    with database.connection() as connection:
        connection.execute(
            "UPDATE user_session SET create_time = now() - interval '2 s', expire_time = now()"
        )
    assert users.session(b"2" * 32, IDLE_S) is None
    assert users.sessions() == []


def test_a_new_password_ends_the_other_sessions(database: Database):
    users = database.users
    users.add("ann", "admin", HASH)
    opened(database, "ann", b"1" * 32)
    opened(database, "ann", b"2" * 32)
    users.set_password("ann", HASH + "x", keep_session=b"2" * 32)
    assert users.session(b"1" * 32, IDLE_S) is None
    assert users.session(b"2" * 32, IDLE_S) is not None
    with pytest.raises(NotFoundError):
        users.set_password("nobody", HASH)


def attempts(database: Database, count: int, name: str, address: str) -> list[LoginAttempt]:
    return [database.users.begin_login(name, address) for _ in range(count)]


def test_wrong_passwords_are_slowed_by_name_and_address(database: Database):
    database.users.add("ann", "admin", HASH)
    made = attempts(database, FAILURES_PAIR_MAX + 1, "ann", "there")
    assert [one.wait_s > 0 for one in made] == [False] * FAILURES_PAIR_MAX + [True]
    assert made[-1].wait_s <= 900
    assert database.users.begin_login("ann", "elsewhere").wait_s == 0
    assert database.users.begin_login("nobody", "there").user is None


def test_guessing_elsewhere_never_locks_the_right_password_out(database: Database):
    database.users.add("ann", "admin", HASH)
    for number in range(FAILURES_NAME_FREE):
        attempt = database.users.begin_login("ann", f"bot{number % 50}")
        assert (attempt.wait_s, attempt.delay_s) == (0, 0)
    slow = database.users.begin_login("ann", "home")
    assert slow.wait_s == 0 and slow.delay_s == DELAY_S and slow.password_hash == HASH
    opened(database, "ann")
    assert database.users.begin_login("bob", "home").delay_s == 0


def test_an_address_that_tries_many_names_is_slowed(database: Database):
    made = [database.users.begin_login(f"n{n}", "there") for n in range(FAILURES_ADDRESS_MAX + 1)]
    assert made[-2].wait_s == 0 and made[-1].wait_s > 0


def test_a_success_clears_the_slate(database: Database):
    database.users.add("ann", "admin", HASH)
    attempts(database, FAILURES_PAIR_MAX - 1, "ann", "here")
    opened(database, "ann")
    assert all(one.wait_s == 0 for one in attempts(database, FAILURES_PAIR_MAX, "ann", "here"))
    with pytest.raises(UsageError, match="refused"):
        opened(database, "ann", b"3" * 32)


def test_many_attempts_at_one_moment_see_each_other(database: Database):
    database.users.add("ann", "admin", HASH)
    for number in range(8):  # Which of them commits first is luck.
        with ThreadPoolExecutor(6) as pool:
            address = f"there{number}"
            made = list(pool.map(database.users.begin_login, ["ann"] * 12, [address] * 12))
        assert sum(one.wait_s == 0 for one in made) <= FAILURES_PAIR_MAX


def test_tokens_have_at_most_the_role_of_their_owner(database: Database):
    users = database.users
    users.add("ann", "admin", HASH)
    users.add("bob", "operator", HASH)
    users.add_token("bob", "script", ["read", "write"], KEY)
    owner = users.token_owner(KEY)
    assert owner is not None and (owner.name, owner.role) == ("bob", "operator")
    assert users.tokens("bob")[0].used_time is not None
    with pytest.raises(UsageError, match="cannot have the scope admin"):
        users.add_token("bob", "other", ["admin"], b"2" * 32)
    with pytest.raises(UsageError, match="already"):
        users.add_token("bob", "script", ["read"], b"3" * 32)
    users.set_role("bob", "viewer")
    lesser = users.token_owner(KEY)
    assert lesser is not None and lesser.role == "viewer"
    users.set_disabled("bob", is_disabled=True)
    assert users.token_owner(KEY) is None
    users.set_disabled("bob", is_disabled=False)
    users.remove_token("bob", "script")
    assert users.token_owner(KEY) is None
    with pytest.raises(NotFoundError):
        users.remove_token("bob", "script")


@pytest.mark.parametrize(
    ("owner", "token", "changed", "left"),
    [
        ("operator", "labeller", "viewer", None),
        ("operator", "viewer", "labeller", None),
        ("operator", "viewer", "admin", "viewer"),
        ("admin", "operator", "labeller", "labeller"),
        ("admin", "admin", "operator", "operator"),
        ("labeller", "labeller", "operator", "labeller"),
    ],
)
def test_another_role_of_the_owner_never_widens_a_token(
    database: Database, owner, token, changed, left
):
    users = database.users
    users.add("ann", "admin", HASH)
    users.add("bob", owner, HASH)
    users.add_token("bob", "script", scopes_of_role(token), KEY)
    users.set_role("bob", changed)
    found = users.token_owner(KEY)
    assert (found and found.role) == left
    # It is worthless for as long as that is so, and not for ever.
    users.set_role("bob", owner)
    again = users.token_owner(KEY)
    assert again is not None and again.role == token


def test_a_token_ends(database: Database):
    users = database.users
    users.add("ann", "admin", HASH)
    for past_s in (0.0, -5.0):
        with pytest.raises(UsageError, match="ended already"):
            users.add_token("ann", "short", ["read"], KEY, lifetime_s=past_s)
    users.add_token("ann", "short", ["read"], KEY, lifetime_s=60.0)
    assert users.token_owner(KEY) is not None
    with database.connection() as connection:
        connection.execute("UPDATE api_token SET expire_time = now() - interval '1 second'")
    assert users.token_owner(KEY) is None


def test_scopes_of_programs_end_with_the_role_of_the_owner(database: Database):
    users = database.users
    users.add("ann", "admin", HASH)
    users.add("bob", "operator", HASH)
    users.add_token("bob", "worker", ["worker"], KEY)
    found = users.token_owner(KEY)
    assert found is not None and (found.role, list(found.scopes)) == (None, ["worker"])
    users.set_role("bob", "viewer")
    assert users.token_owner(KEY) is None, "a viewer's machine takes no tasks"
    for scopes, words in ((["database"], "scope database"), (["fly"], "no scope"), ([], "has a")):
        with pytest.raises(UsageError, match=words):
            users.add_token("bob", "other", scopes, b"2" * 32)
    with pytest.raises(UsageError, match="give the scope write"):
        users.add_token("bob", "other", ["read", "label"], b"2" * 32)


def test_views_are_one_s_own_or_shared(database: Database):
    users = database.users
    ann, bob = users.add("ann", "admin", HASH), users.add("bob", "viewer", HASH)
    own = users.save_view(ann.user_id, "explorer", "mine", "/explorer")
    assert users.save_view(ann.user_id, "explorer", "mine", "/explorer?x") == own
    users.save_view(ann.user_id, "explorer", "ours", "/explorer?y", is_shared=True)
    assert [one.name for one in users.views(ann.user_id, "explorer")] == ["mine", "ours"]
    assert [one.name for one in users.views(bob.user_id, "explorer")] == ["ours"]
    with pytest.raises(NotFoundError):
        users.remove_view(bob.user_id, own)
    users.remove_view(ann.user_id, own)
    assert len(users.views(ann.user_id, "explorer")) == 1
    for name in ("", "a" * 101, "a\nb"):
        with pytest.raises(UsageError):
            users.save_view(ann.user_id, "explorer", name, "/explorer")
    with pytest.raises(UsageError, match="too long"):
        users.save_view(ann.user_id, "explorer", "long", "x" * 70_000)
