"""Personal data from stations: read once by an admin, and then nowhere."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.api_site import ApiSite, api_site
from tests.support.device import GENERATED_AT

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = {"report": True, "customer_identifier": "CUSTOMER-4711"}
PATH = "/stations/CUST/customer-information"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(folder: Path) -> AsyncIterator[ApiSite]:
    async with api_site(folder) as running:
        await running.register("CUST")
        yield running


@pytest.mark.use_case("N09")
async def test_what_a_station_knows_is_read_once_by_an_admin_and_kept_nowhere(
    site: ApiSite,
) -> None:
    async with site.station("CUST", "2.0.1") as station:
        await station.boot()
        await site.call("POST", PATH, BODY, status=403)
        for path in ("calls", "commands"):
            refused = await site.call(
                "POST",
                f"/stations/CUST/{path}",
                {"action": "CustomerInformation"},
                status=403,
            )
            assert refused["error"] == "admin_only"
        said = await site.call("POST", PATH, BODY, role="admin")
        assert said["status"] == "Accepted"
        number = said["request_id"]
        for sequence, data in ((1, "lives in Secretville"), (0, "Jane Doe ")):
            await station.ask(
                "NotifyCustomerInformation",
                {
                    "requestId": number,
                    "generatedAt": GENERATED_AT,
                    "seqNo": sequence,
                    "tbc": sequence == 0,
                    "data": data,
                },
            )
    await site.call("GET", f"{PATH}/{number}", status=403)
    read = await site.call("GET", f"{PATH}/{number}", role="admin")
    assert read["text"] == "Jane Doe lives in Secretville"
    again = await site.call("GET", f"{PATH}/{number}", role="admin", status=410)
    assert again["error"] == "already_read"
    tables = await site.parts.queries.rows(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    )
    for (name,) in tables:
        rows = await site.parts.queries.rows(f"SELECT * FROM {name}")  # noqa: S608 - a table of ours
        for row in rows:
            assert not any("Secretville" in str(value) for value in row), name
            assert not any("CUSTOMER-4711" in str(value) for value in row), name
    audit = await site.call("GET", "/audit", role="admin")
    assert {"customer.requested", "customer.read"} <= {one["action"] for one in audit}


async def test_a_report_is_deleted_unread(site: ApiSite) -> None:
    async with site.station("CUST", "2.0.1") as station:
        await station.boot()
        number = (await site.call("POST", PATH, BODY, role="admin"))["request_id"]
        page = {
            "requestId": number,
            "generatedAt": GENERATED_AT,
            "seqNo": 0,
            "data": "Jane",
        }
        await station.ask("NotifyCustomerInformation", page)
        await site.call("DELETE", f"{PATH}/{number}", status=403)
        await site.call("DELETE", f"{PATH}/{number}", role="admin", status=204)
        await site.call("GET", f"{PATH}/{number}", role="admin", status=410)
        await site.call("GET", f"{PATH}/999999", role="admin", status=404)


async def test_clearing_alone_and_other_references_go_out_as_asked(
    site: ApiSite,
) -> None:
    async with site.station("CUST", "2.0.1") as station:
        await station.boot()
        token = {
            "clear": True,
            "id_token": {"value": "TOKEN-OF-JANE", "type": "ISO14443"},
        }
        await site.call("POST", PATH, token, role="admin")
        commands = await site.parts.queries.rows("SELECT payload, wire FROM command")
        assert "TOKEN-OF-JANE" not in str(commands)
        hashes = {
            "hash_algorithm": "SHA256",
            "issuer_name_hash": "aa",
            "issuer_key_hash": "bb",
            "serial_number": "01",
        }
        body = {"clear": True, "certificate": hashes}
        await site.call("POST", PATH, body, role="admin")
        first, second = station.calls("CustomerInformation")
        assert first["idToken"] == {"idToken": "TOKEN-OF-JANE", "type": "ISO14443"}
        assert (first["report"], first["clear"]) == (False, True)
        assert second["customerCertificate"]["serialNumber"] == "01"
        assert first["requestId"] != second["requestId"]
    for wrong in ({"report": True}, {"customer_identifier": "x"}, BODY | token):
        await site.call("POST", PATH, wrong, role="admin", status=422)
    await site.call("POST", PATH, BODY, role="admin", status=409)
