"""What a caller tries who is let in, but not to this."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.ids import SessionId
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.mark.parametrize(
    "stolen",
    [
        {"source": "config"},
        {"station_id": "OTHER"},
        {"password_hash": "x"},
        {"accepted_at": "2026-01-01T00:00:00Z"},
        {"online": True},
        {"is_admin": True},
        {"__proto__": {"is_admin": True}},
    ],
)
async def test_a_registration_takes_only_the_members_it_names(
    site: ApiSite, stolen: dict[str, Any]
) -> None:
    await site.register("MASS")
    before = await site.call("GET", "/stations/MASS")
    refused = await site.call("PUT", "/stations/MASS", stolen, status=422)
    assert next(iter(stolen)) in str(refused)
    assert await site.call("GET", "/stations/MASS") == before


async def test_a_lower_security_profile_is_for_admins(site: ApiSite) -> None:
    await site.register("LOWER", security_profile=2)
    lowered = {"security_profile": 1}
    await site.call("PUT", "/stations/LOWER", lowered, status=403)
    assert (await site.call("GET", "/stations/LOWER"))["security_profile"] == 2


@pytest.mark.parametrize(
    "member", ["session_id", "is_default", "source", "verdict", "energy_milliwh"]
)
async def test_a_need_takes_only_the_members_it_names(
    site: ApiSite, member: str
) -> None:
    session_id = await running_session(site, f"NEED-{member[:4]}")
    body = {"energy_wh": 1000, member: 1}
    await site.call("PUT", f"/sessions/{session_id}/request", body, status=422)


async def test_a_drivers_link_opens_the_session_it_was_made_for_only(
    site: ApiSite,
) -> None:
    mine = await running_session(site, "IDOR-1")
    other = await running_session(site, "IDOR-2")
    needs = site.parts.needs
    token = needs.driver_token(SessionId(mine))
    assert needs.session_of_link(token) == mine
    _, dot, mac = token.partition(".")
    for forged in (
        f"{other}{dot}{mac}",
        f"{mine}{dot}",
        mine,
        f"{mine}{dot}{mac[:-1]}",
        f"{mine}{dot}{mac[:-1]}{'0' if mac[-1] != '0' else '1'}",
        f"{mine}{dot}{mac}x",
        f"{mine}{dot}é",
        "",
    ):
        assert needs.session_of_link(forged) is None, forged


async def test_a_drivers_link_is_no_token_of_the_api(site: ApiSite) -> None:
    session_id = await running_session(site, "IDOR-3")
    token = site.parts.needs.driver_token(SessionId(session_id))
    for header in (f"Bearer {token}", f"Bearer /d/{token}"):
        answer = await site.client.get(
            f"/api/v1/sessions/{session_id}", headers={"Authorization": header}
        )
        assert answer.status_code == 401


@pytest.mark.parametrize("name", ["token", "access_token", "authorization", "code"])
@pytest.mark.parametrize("path", ["/events", "/stations"])
async def test_a_token_in_an_address_opens_nothing(
    site: ApiSite, path: str, name: str
) -> None:
    """Addresses end up in logs, histories and referrers."""
    answer = await site.client.get(
        f"/api/v1{path}", params={name: site.secrets["admin"]}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 5000, "1e-999", "NaN"])
async def test_numbers_that_nothing_can_hold_are_refused(
    site: ApiSite, number: str
) -> None:
    await site.register("NUMBERS")
    for path, member in (
        ("/stations/NUMBERS", "items_per_message"),
        ("/loads/building/reading", "power_w"),
        ("/id-tokens/T", "max_sessions"),
    ):
        answer = await site.client.put(
            f"/api/v1{path}",
            content=f'{{"{member}":{number}}}',
            headers={
                "Authorization": f"Bearer {site.secrets['admin']}",
                "Content-Type": "application/json",
            },
        )
        assert answer.status_code == 422 or number == "1e-999", answer.text
        assert answer.status_code < 500


async def test_a_station_cannot_end_or_fill_the_session_of_another(
    site: ApiSite,
) -> None:
    session_id = await running_session(site, "VICTIM")
    victim = await site.call("GET", f"/sessions/{session_id}")
    await site.register("THIEF")
    async with site.station("THIEF") as thief:
        await thief.boot()
        await thief.ask(
            "StopTransaction",
            {
                "transactionId": int(victim["transaction_id"]),
                "meterStop": 9_999_999,
                "timestamp": "2026-06-01T13:00:00Z",
            },
        )
        await thief.ask(
            "MeterValues",
            {
                "connectorId": 1,
                "transactionId": int(victim["transaction_id"]),
                "meterValue": [
                    {
                        "timestamp": "2026-06-01T12:30:00Z",
                        "sampledValue": [{"value": "5000"}],
                    }
                ],
            },
        )
    assert await site.call("GET", f"/sessions/{session_id}") == victim
    assert await site.call("GET", f"/sessions/{session_id}/readings") == []


async def running_session(site: ApiSite, station_id: str) -> str:
    """A 1.6 session that has just begun."""
    await site.register(station_id)
    async with site.station(station_id) as station:
        await station.boot()
        await station.ask(
            "StartTransaction",
            {
                "connectorId": 1,
                "idTag": "T",
                "meterStart": 0,
                "timestamp": "2026-06-01T12:00:00Z",
            },
        )
    (session,) = await site.call("GET", f"/sessions?station_id={station_id}&open=true")
    return str(session["session_id"])
