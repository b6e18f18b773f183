"""Groups of id tokens with a tariff of their own."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.billed import Talk16, ago, bill_of
from tests.support.ocpi import CPO, PLACE, check

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    billing = {"currency": "EUR", "default_tariff": "day"}
    folder = tmp_path_factory.mktemp("site")
    async with api_site(folder, billing=billing, cpo=CPO, site=PLACE) as running:
        staff = {
            "elements": [
                {
                    "price_components": [
                        {"type": "ENERGY", "price": "0.10"},
                        {"type": "FLAT", "price": 1, "vat": 19},
                    ]
                }
            ]
        }
        await running.call("PUT", "/tariffs/staff", staff)
        await running.call("PUT", "/id-tokens/WORKER", {"group": "Crew"})
        await running.call("PUT", "/id-tokens/GUEST", {})
        yield running


async def told(site: ApiSite, name: str, token: str) -> dict[str, Any]:
    """The bill of a session of 10 kWh."""
    await site.register(name)
    async with site.station(name) as station:
        await station.boot()
        talk = Talk16(station)
        number = await talk.start(ago(site, hours=1), 0, idTag=token)
        await talk.stop(number, ago(site), 10_000)
    return await bill_of(site, name)


async def test_a_group_charges_by_its_own_tariff_and_others_by_the_default(
    site: ApiSite,
) -> None:
    put = await site.call("PUT", "/tariff-groups/crew", {"tariff_id": "staff"})
    assert (put["group"], put["tariff_id"]) == ("crew", "staff")
    assert await site.call("GET", "/tariff-groups", role="viewer") == [put]
    own = await told(site, "GROUP-1", "WORKER")
    assert own["tariff_id"] == "staff"
    assert own["amount_minor"] == 100 + 119
    assert (own["net_minor"], own["vat_minor"]) == (200, 19)
    record = await site.call("GET", f"/sessions/{own['session_id']}/cdr")
    check(record)
    assert record["total_cost"] == {"excl_vat": 2.0, "incl_vat": 2.19}
    assert record["total_fixed_cost"] == {"excl_vat": 1.0, "incl_vat": 1.19}
    assert record["total_energy"] == 10
    assert record["tariffs"][0]["id"] == "staff"
    assert record["cdr_token"]["uid"] == "WORKER"
    other = await told(site, "GROUP-2", "GUEST")
    assert (other["tariff_id"], other["amount_minor"]) == ("day", 420)
    used = await site.call("DELETE", "/tariffs/staff", status=409)
    assert used["error"] == "in_use"
    await site.call("DELETE", "/tariff-groups/CREW", status=204)
    later = await told(site, "GROUP-3", "WORKER")
    assert later["tariff_id"] == "day"


async def test_a_group_cannot_be_given_what_there_is_not(site: ApiSite) -> None:
    body = {"tariff_id": "nothing"}
    missing = await site.call("PUT", "/tariff-groups/crew", body, status=404)
    assert missing["error"] == "unknown_tariff"
    unknown = await site.call("DELETE", "/tariff-groups/nobody", status=404)
    assert unknown["error"] == "unknown_group"
    await site.call("PUT", "/tariff-groups/crew", body, role="viewer", status=403)


async def test_a_station_cannot_be_given_a_tariff_that_there_is_not(
    site: ApiSite,
) -> None:
    """Its bills would all wait, and nobody would know before the first."""
    await site.register("TYPO")
    body = {"tariff_id": "nihgt"}
    missing = await site.call("PUT", "/stations/TYPO", body, status=404)
    assert missing["error"] == "unknown_tariff"
    definition = (await site.call("GET", "/stations/TYPO"))["definition"]
    assert definition["tariff_id"] is None
    await site.call("PUT", "/stations/NOT-YET", body, status=404)
    await site.call("GET", "/stations/NOT-YET", status=404)
    await site.call("PUT", "/stations/TYPO", {"tariff_id": None})


async def test_a_session_without_a_settled_bill_has_no_record(site: ApiSite) -> None:
    await site.call("GET", "/sessions/none/cdr", status=404)
    await site.register("OPEN")
    async with site.station("OPEN") as station:
        await station.boot()
        await Talk16(station).start(ago(site), 0, idTag="GUEST")
        (session,) = await site.call("GET", "/sessions?station_id=OPEN")
        path = f"/sessions/{session['session_id']}/cdr"
        refused = await site.call("GET", path, status=409)
    assert refused["error"] == "not_settled"
