"""Every route of the document is tried with what no route takes."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from gateway.api.docs_page import DOCUMENT
from tests.support.api_site import PASSWORD, ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEEP = 50_000
RAW = [
    b"[]",
    b"null",
    b'"x"',
    b'{"nonsense": 1}',
    b"{}{}",
    b"\x00",
    b'{"a": "\x00"}',
    b'{"a": "\xff\xfe"}',
    b'{"a": "\\ud800"}',
    b'{"a": NaN}',
    b"[" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"a": "' + b"x" * 1_048_576 + b'"}',
    b'{"' + b"k" * 100_000 + b'": 1}',
]
WRONG: list[Any] = [
    None,
    -1,
    10**30,
    "\x00",
    "x" * 20_000,
    [[]],
    {"\x00": "\x00"},
    json.loads('{"a":' * 900 + "{}" + "}" * 900),
]
VALUES = {
    "station_id": "OLD",
    "cabinet_id": "main",
    "load_id": "building",
    "token": "TOKEN",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site"), {"OLD": PASSWORD}) as running:
        yield running


async def document(site: ApiSite) -> dict[str, Any]:
    found: dict[str, Any] = (await site.client.get(DOCUMENT)).json()
    return found


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every method and path below ``/api/v1``, its parameters filled in."""
    for path, methods in schema["paths"].items():
        if not path.startswith("/api/v1"):
            continue
        filled = re.sub(r"\{(\w+)\}", lambda name: VALUES.get(name[1], "1"), path)
        for method, operation in methods.items():
            yield method.upper(), filled, operation


def members(schema: dict[str, Any], operation: dict[str, Any]) -> Iterator[str]:
    """Names of the members of a body."""
    content = operation.get("requestBody", {}).get("content", {})
    waiting = [one["schema"] for one in content.values()]
    while waiting:
        one = waiting.pop()
        if "$ref" in one:
            waiting.append(schema["components"]["schemas"][one["$ref"].split("/")[-1]])
        waiting += one.get("anyOf", [])
        yield from one.get("properties", {})


async def send(
    site: ApiSite, method: str, path: str, content: bytes, **headers: str
) -> httpx.Response:
    headers = {"Content-Type": "application/json", **headers}
    headers["Authorization"] = f"Bearer {site.secrets['admin']}"
    return await site.client.request(
        method, path, content=content, headers={k: v for k, v in headers.items() if v}
    )


def check_text(answer: httpx.Response, what: str) -> None:
    """A refusal says what is wrong, in words of its own."""
    said = answer.json()
    assert said["error"], what
    assert said["message"], what
    assert "Value error" not in answer.text, what
    assert "pydantic" not in answer.text, what
    assert len(answer.text) < 20_000, what


async def test_every_route_refuses_a_query_parameter_that_it_does_not_know(
    site: ApiSite,
) -> None:
    schema, n_walked = await document(site), 0
    for method, path, operation in operations(schema):
        what = f"{method} {path}"
        names = [
            one["name"]
            for one in operation.get("parameters", ())
            if one["in"] == "query"
        ]
        answer = await send(site, method, f"{path}?nonsense=1", b"")
        assert answer.status_code == 422, f"{what}: {answer.text}"
        (problem,) = answer.json()["problems"]
        assert problem["where"] == "query.nonsense", what
        assert all(name in problem["what"] for name in names or ["none"]), what
        assert problem["what"] in answer.json()["message"], what
        n_walked += 1
    assert n_walked > 80
    wrong = await site.call("GET", "/commands?station=OLD", status=422)
    assert "kind, limit, origin, state, station_id" in wrong["message"]


async def test_every_route_answers_nonsense_with_a_refusal_that_says_why(
    site: ApiSite,
) -> None:
    schema = await document(site)
    for method, path, _ in operations(schema):
        if method == "GET":
            continue
        for raw in RAW:
            answer = await send(site, method, path, raw)
            what = f"{method} {path} {raw[:60]!r}: {answer.text[:300]}"
            assert 400 <= answer.status_code < 500, what
            check_text(answer, what)


async def test_no_member_of_any_body_breaks_a_route(site: ApiSite) -> None:
    schema = await document(site)
    for method, path, operation in operations(schema):
        for member in {*members(schema, operation)}:
            for value in WRONG:
                raw = json.dumps({member: value}).encode()
                answer = await send(site, method, path, raw)
                what = f"{method} {path} {raw[:80]!r}: {answer.text[:300]}"
                assert answer.status_code < 500, what
                if not answer.is_success:
                    check_text(answer, what)


async def test_json_that_does_not_say_so_is_taken_and_other_types_are_not(
    site: ApiSite,
) -> None:
    path, body = "/api/v1/cabinets/main/mode", b'{"mode": "control"}'
    silent = await send(site, "PUT", path, body, **{"Content-Type": ""})
    assert silent.status_code == 200, silent.text
    exact = await send(
        site, "PUT", path, body, **{"Content-Type": "application/json; charset=utf-8"}
    )
    assert exact.status_code == 200
    form = "application/x-www-form-urlencoded"
    other = await send(site, "PUT", path, body, **{"Content-Type": form})
    assert (other.status_code, other.json()["error"]) == (415, "unsupported_media_type")
    assert form in other.json()["message"]
    assert "application/json" in other.json()["message"]


async def test_a_check_of_ours_speaks_for_itself(site: ApiSite) -> None:
    said = await site.call("POST", "/stations/OLD/reports", {}, status=422)
    assert said["message"] == "not valid: body: either base, or criteria and items"


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("cabinet", "cabinet: no such member; did you mean 'cabinet_id'?"),
        ("evse", "evse: no such member; did you mean 'evses'?"),
    ],
)
async def test_a_member_of_the_configuration_names_the_one_of_the_api(
    site: ApiSite, member: str, text: str
) -> None:
    said = await site.call("PUT", "/stations/OLD", {member: "main"}, status=422)
    assert said["message"] == text
    evse = {"evses": [{"id": 1}]}
    said = await site.call("PUT", "/stations/OLD", evse, status=422)
    assert said["message"].startswith("evses[0].id: no such member; known are")
    bad = {"evses": [{"evse_id": "x"}]}
    said = await site.call("PUT", "/stations/OLD", bad, status=422)
    assert said["message"].startswith("evses[0].evse_id: must be a number")


async def test_stations_of_a_token_may_come_later_and_are_named_until_then(
    site: ApiSite,
) -> None:
    body = {"stations": ["OLD", "LATER"]}
    made = await site.call("PUT", "/id-tokens/EARLY", body)
    assert made["unknown_stations"] == ["LATER"]
    await site.register("LATER")
    seen = await site.call("GET", "/id-tokens/EARLY")
    assert (seen["stations"], seen["unknown_stations"]) == (["LATER", "OLD"], [])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "it has no line -----BEGIN CERTIFICATE-----"),
        (
            "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----",
            "it is a PRIVATE KEY, not a CERTIFICATE",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA",
            "the line -----END CERTIFICATE----- is missing",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "is damaged",
        ),
    ],
)
async def test_a_text_that_is_no_certificate_is_told_why(
    site: ApiSite, text: str, why: str
) -> None:
    async with site.station("OLD"):
        said = await site.call(
            "POST",
            "/stations/OLD/certificates",
            {"type": "CentralSystemRootCertificate", "certificate": text},
            status=422,
        )
    assert said["message"].startswith("certificate: is not a certificate in PEM: ")
    assert why in said["message"]
    assert "://" not in said["message"]
