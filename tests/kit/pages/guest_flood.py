"""Many questions of one guest at once, while what grants reach cannot be read."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor, as_completed

from guest_house import House
from store_checks import until

WAITING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


def check_flood(house: House) -> None:
    """What is asked of grants hangs: guests have few connections and threads, others the rest."""
    database, count = house.scene.database, {"selector": {"version": 1}}
    operator = {"Cookie": house.scene.log_in("oto"), "Content_Type": "application/json"}

    def waiting() -> int:
        with database.connection() as connection:
            return connection.execute(WAITING).fetchone()[0]  # pyright: ignore[reportOptionalSubscript]

    with ThreadPoolExecutor(20) as pool:
        with database.connection() as connection:
            connection.execute("LOCK TABLE grant_reach IN ACCESS EXCLUSIVE MODE")
            asked = [pool.submit(house.browser, "POST", "/nodes/count", count) for _ in range(20)]
            until(lambda: waiting() == 2, "as many as one account may")
            body = json.dumps(count).encode()
            for _ in range(3):
                answer = house.scene.ask("POST", "/api/v1/nodes/count", body, **operator)
                assert answer.status == 200, answer.body
            assert waiting() == 2
            refused = next(one.result() for one in as_completed(asked))
            assert refused.status == 503 and refused.headers["Retry-After"], refused.body
            assert refused.document["code"] == "busy"
        assert {one.result().status for one in asked} == {200, 503}
    assert house.browser("POST", "/nodes/count", count).status == 200
