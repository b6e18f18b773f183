"""A stored plan, fetched over HTTP, convinces a stranger; a changed one does not."""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.ids import CabinetId, SessionId
from gateway.errors import RequestError
from gateway.services import group_store
from gateway.services.group_problem import Asked
from gateway.services.sealing import seal_record
from gateway.store.plans import PromiseRow, put_promise
from optimizer.solve import solve
from optimizer.verify import Report, Word, verify
from tests.support.api_site import ApiSite, api_site
from tests.support.optimizer_problems import typical_day

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


async def stored(site: ApiSite, engine: Any = "auto") -> int:
    """Record a plan as the dispatch does."""
    problem = typical_day(4, n_session=5, n_step=12, limit_a=45.0)
    meta = await site.gateway.writer.run(
        partial(
            group_store.record_plan,
            asked=Asked(problem=problem, departures={}, defaults=frozenset()),
            outcome=solve(problem, deadline_s=20, engine=engine),
            cabinet_id=CabinetId("main"),
            promises=(),
            now=site.gateway.clock.now(),
            seal=seal_record,
        )
    )
    return meta.plan_id


def report(document: object) -> Report:
    return verify(json.dumps(document).encode())


def verdicts(document: object) -> dict[str, Word]:
    return {check.name: check.verdict for check in report(document).checks}


@pytest.mark.parametrize("engine", ["auto", "edf"])
async def test_a_stored_plan_and_its_place_in_the_log_verify(
    site: ApiSite, engine: str
) -> None:
    plan_id = await stored(site, engine)
    bundle = await site.call("GET", f"/plans/{plan_id}", role="viewer")
    assert verdicts(bundle) == {
        "format": Word.TRUE,
        "certificate": Word.TRUE,
        "optimality": Word.TRUE if engine == "auto" else Word.UNCHECKED,
        "plan": Word.TRUE,
        "log": Word.TRUE,
        "head": Word.UNCHECKED,
    }
    assert json.loads(bundle["leaf"]["record"])["plan_id"] == str(plan_id)
    bundle["problem"]["sessions"][0]["energy_wh"] += 1
    assert report(bundle).verdict is Word.FALSE


async def test_a_driver_gets_the_own_row_and_nothing_of_the_others(
    site: ApiSite,
) -> None:
    plan_id = await stored(site)
    row = await site.call("GET", f"/plans/{plan_id}/sessions/s3", role="viewer")
    assert verdicts(row) == {
        "format": Word.TRUE,
        "commitment": Word.TRUE,
        "currents": Word.TRUE,
        "log": Word.TRUE,
        "head": Word.UNCHECKED,
    }
    text = json.dumps(row)
    assert [f'"s{index}"' in text for index in range(5)] == [
        index == 3 for index in range(5)
    ]
    row["session"]["energy_wh"] -= 1
    assert report(row).verdict is Word.FALSE


async def test_the_row_of_the_newest_plan_is_found_by_its_session(
    site: ApiSite,
) -> None:
    live = site.parts.live
    token = site.parts.needs.driver_token(SessionId("s2"))
    for wrong in (token, "x"):
        with pytest.raises(RequestError) as none_yet:
            await live.plan_row(wrong)
        assert none_yet.value.status == 404
    plan_id, now = await stored(site), site.gateway.clock.now()
    promise = PromiseRow(
        session_id=SessionId("s2"),
        plan_id=plan_id,
        energy_wh=1_000,
        shortfall_wh=0,
        departure_at=now,
        is_default=False,
        reason=None,
        made_at=now,
    )
    await site.gateway.writer.run(lambda conn: put_promise(conn, promise))
    row: Any = await live.plan_row(token)
    assert row["session"]["session_id"] == "s2"
    assert report(row).exit_code() == 0


async def test_the_row_of_another_plan_does_not_fit_the_record(site: ApiSite) -> None:
    one, other = await stored(site), await stored(site)
    row = await site.call("GET", f"/plans/{one}/sessions/s1")
    second = await site.call("GET", f"/plans/{other}/sessions/s1")
    assert verdicts(row | {"leaf": second["leaf"]})["log"] is Word.FALSE


async def test_plans_that_are_not_there_are_named(site: ApiSite) -> None:
    plan_id = await stored(site)
    for plan in (10**9, -1, 10**30):
        await site.call("GET", f"/plans/{plan}", status=404)
    await site.call("GET", f"/plans/{plan_id}/sessions/s9", status=404)
    await site.call("GET", "/plans/x", status=422)
    await site.call("GET", f"/plans/{plan_id}", role=None, status=401)


async def test_a_plan_of_an_older_version_says_so(site: ApiSite) -> None:
    plan_id = await stored(site)
    await site.gateway.writer.run(
        lambda conn: conn.execute(
            "UPDATE plan SET certificate = NULL WHERE plan_id = ?", (plan_id,)
        )
    )
    answer = await site.call("GET", f"/plans/{plan_id}", status=409)
    assert answer["error"] == "older_plan"


async def test_the_newest_plan_of_a_cabinet_names_the_id_to_ask_for(
    site: ApiSite,
) -> None:
    async def has_plan() -> bool:
        return (await site.send("GET", "/cabinets/main/plan")).status_code == 200

    await site.until(has_plan)
    plan_id = (await site.call("GET", "/cabinets/main/plan"))["plan_id"]
    assert report(await site.call("GET", f"/plans/{plan_id}")).exit_code() == 0
