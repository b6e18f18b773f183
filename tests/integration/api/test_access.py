"""Who may ask what, and what comes back when the asking is wrong."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from gateway.api.requests import MAX_BODY_BYTES
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def operations(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Every method and path below /api/v1, with names filled in."""
    found = []
    for path, item in document["paths"].items():
        if path.startswith("/api/v1"):
            for name in ("evse_id", "reservation_id", "leaf_index"):
                path = path.replace(f"{{{name}}}", "1")  # noqa: PLW2901 - filled in
            parts = [p if not p.startswith("{") else "x" for p in path.split("/")]
            found += [(method.upper(), "/".join(parts)) for method in item]
    return found


async def test_nothing_below_the_api_answers_without_a_token(site: ApiSite) -> None:
    document = (await site.client.get("/api/openapi.json")).json()
    asked = operations(document)
    assert len(asked) > 40
    for method, path in asked:
        response = await site.client.request(method, path, content=b"{not json")
        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json() == {
            "error": "no_token",
            "message": "send Authorization: Bearer <token>",
        }


async def test_every_change_needs_more_than_a_viewer_or_an_auditor(
    site: ApiSite,
) -> None:
    document = (await site.client.get("/api/openapi.json")).json()
    changing = [(m, p) for m, p in operations(document) if m != "GET"]
    assert len(changing) >= 19
    for role in ("viewer", "auditor"):
        headers = {"Authorization": f"Bearer {site.secrets[role]}"}
        for method, path in changing:
            response = await site.client.request(
                method, path, json={"items": []}, headers=headers
            )
            assert response.status_code == 403, (role, method, path, response.text)
            assert response.json()["error"] == "forbidden"


async def test_tokens_are_for_admins_only(site: ApiSite) -> None:
    for role in ("viewer", "auditor", "operator"):
        await site.call("GET", "/tokens", role=role, status=403)


async def test_only_who_answers_for_it_reads_the_audit_trail(site: ApiSite) -> None:
    assert (await site.call("GET", "/audit", role="viewer", status=403))["error"] == (
        "forbidden"
    )
    for role in ("auditor", "operator", "admin"):
        assert isinstance(await site.call("GET", "/audit", role=role), list)


async def test_a_revoked_an_expired_and_a_made_up_token_are_all_refused_alike(
    site: ApiSite,
) -> None:
    expired = await site.token("admin", life=timedelta(seconds=-1))
    revoked = await site.token("admin")
    headers = {"Authorization": f"Bearer {revoked}"}
    assert (
        await site.client.get("/api/v1/stations", headers=headers)
    ).status_code == 200
    listed = await site.call("GET", "/tokens", role="admin")
    assert {"token_id", "role", "label", "expires_at", "revoked_at"} <= (
        listed[0].keys()
    )
    assert not any(revoked in str(one) or "sha256" in one for one in listed)
    path = f"/tokens/{listed[0]['token_id']}"
    await site.call("DELETE", path, status=403)
    await site.call("DELETE", path, role="admin", status=204)
    await site.call("DELETE", path, role="admin", status=404)
    answers = []
    for secret in (expired, revoked, "wp_guess", "x" * 10_000, "\xe4"):
        response = await site.client.get(
            "/api/v1/stations",
            headers={b"Authorization": b"Bearer " + secret.encode("latin-1")},
        )
        answers.append((response.status_code, response.json()["error"]))
    assert set(answers) == {(401, "bad_token")}


async def test_the_cockpits_cookie_reads_but_never_changes(site: ApiSite) -> None:
    cookies = {"Cookie": f"wattproof_session={site.secrets['admin']}"}
    read = await site.client.get("/api/v1/stations", headers=cookies)
    assert read.status_code == 200
    written = await site.client.put(
        "/api/v1/id-tokens/COOKIE", json={}, headers=cookies
    )
    assert written.status_code == 401
    known = await site.call("GET", "/id-tokens/COOKIE")
    assert known["status"] == "Invalid"


async def test_basic_credentials_are_no_token(site: ApiSite) -> None:
    response = await site.client.get(
        "/api/v1/stations", auth=("admin", site.secrets["admin"])
    )
    assert response.status_code == 401


async def test_the_page_of_the_api_needs_no_other_host(site: ApiSite) -> None:
    page = await site.client.get("/api/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert '"validatorUrl": null' in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f"/api/static/{name}" in page.text
        assert (await site.client.get(f"/api/static/{name}")).status_code == 200
    missing = await site.client.get("/api/static/../../../etc/passwd")
    assert missing.status_code == 404


async def test_the_document_is_openapi_3_0_and_every_operation_says_what_it_does(
    site: ApiSite,
) -> None:
    document = (await site.client.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.0.")
    text = json.dumps(document)
    assert '"type": "null"' not in text
    assert "prefixItems" not in text
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation.get("description"), (method, path)
            if path.startswith("/api/v1"):
                assert operation["security"], (method, path)


async def test_probes_and_metrics_answer_without_a_token(site: ApiSite) -> None:
    assert (await site.client.get("/healthz")).json() == {"status": "ok"}
    ready = await site.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "parts": {"store": True, "ocpp": True}}
    metrics = await site.client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "# TYPE" in metrics.text


async def test_a_body_of_more_than_one_mebibyte_is_refused(site: ApiSite) -> None:
    group = "x" * MAX_BODY_BYTES
    refused = await site.call("PUT", "/id-tokens/BIG", {"group": group}, status=413)
    assert refused["error"] == "too_large"
    assert (await site.call("GET", "/id-tokens/BIG"))["status"] == "Invalid"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"status": "Accepted",}',
        b'{"group": NaN}',
        b'{"group": "\\ud800"}',
        b'{"group": "\xff"}',
        b"[" * 100_000,
        b"\xef\xbb\xbf{}",
    ],
)
async def test_what_is_not_json_is_answered_with_where_and_what(
    site: ApiSite, body: bytes
) -> None:
    response = await site.client.put(
        "/api/v1/id-tokens/T",
        content=body,
        headers={
            "Authorization": f"Bearer {site.secrets['operator']}",
            "Content-Type": "application/json",
        },
    )
    assert response.status_code == 422
    answer = response.json()
    assert answer["error"] == "invalid"
    assert answer["problems"][0]["where"].startswith("body")
    assert "JSON" in answer["problems"][0]["what"]


async def test_a_wrong_member_is_named(site: ApiSite) -> None:
    answer = await site.call(
        "PUT", "/id-tokens/T", {"status": "Fine", "colour": "red"}, status=422
    )
    assert {problem["where"] for problem in answer["problems"]} == {
        "body.status",
        "body.colour",
    }


@pytest.mark.parametrize(
    "name", ["%00", "..%2f..%2fetc", "a'--", "%F0%9F%94%8B", "%FF"]
)
@pytest.mark.parametrize(
    "place",
    [
        "stations/{}",
        "stations/{}/deviations",
        "sessions/{}",
        "sessions/{}/receipt",
        "cabinets/{}/plan",
        "tariffs/{}",
        "sessions?station_id={}&id_token={}",
        "reservations?station_id={}",
    ],
)
async def test_hostile_ids_are_unknown_not_errors(
    site: ApiSite, place: str, name: str
) -> None:
    response = await site.send("GET", "/" + place.replace("{}", name))
    assert response.status_code in {200, 404, 422}, response.text
    if response.status_code == 200:
        assert response.json() == []


@pytest.mark.parametrize(
    "path",
    [
        f"/reservations/{10**30}",
        f"/ledger/leaves/{10**30}",
        "/ledger/leaves/-1",
        f"/audit?before={10**30}",
        "/audit?limit=-1",
        "/stations/OLD/deviations?limit=-1",
        f"/sessions?limit={10**30}",
        "/sessions?open=perhaps",
        f"/reservations/{'9' * 5000}",
    ],
)
async def test_numbers_beyond_all_bounds_are_refused(site: ApiSite, path: str) -> None:
    response = await site.send("GET", path)
    assert response.status_code in {404, 422}
    assert "error" in response.json()


async def test_unknown_paths_and_methods_have_the_same_error_form(
    site: ApiSite,
) -> None:
    assert (await site.call("GET", "/nothing", status=404))["error"] == "not_found"
    wrong = await site.call("PATCH", "/stations/OLD", {}, status=405)
    assert wrong["error"] == "method_not_allowed"


async def test_a_store_that_fails_is_503_and_not_ready(site: ApiSite) -> None:
    counters = site.gateway.writer.counters
    counters.is_failing = True
    try:
        ready = await site.client.get("/readyz")
    finally:
        counters.is_failing = False
    assert ready.status_code == 503
    assert ready.json()["parts"]["store"] is False
