"""After stations have said the worst, every page of the API still answers."""

import copy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.api_site import ApiSite, api_site
from tests.support.bad_input import (
    MESSAGES,
    NUMBERS,
    STRICT,
    TEXTS,
    TIMES,
    WORDS,
    Spelt,
    encode,
    places,
)

N_MESSAGES = 500
VALUES: list[Any] = [
    *TEXTS,
    *TIMES,
    *WORDS,
    *(Spelt(number) for number in NUMBERS),
    None,
    {},
    [],
]


def worst(rng: Random, version: str) -> tuple[str, str]:
    """A message with one or two members replaced: its action and payload."""
    known = {key: value for key, value in (MESSAGES | STRICT).items() if value}
    action = rng.choice(sorted(name for of, name in known if of == version))
    payload = copy.deepcopy(known[version, action])
    for _ in range(rng.choice((1, 1, 2))):
        _, container, key = rng.choice(places(payload))
        container[key] = rng.choice(VALUES)
    return action, encode(payload)


@pytest.mark.quirk(15)
async def test_every_page_answers_after_the_worst_that_stations_said(
    tmp_path: Path,
) -> None:
    rng = Random(20260601)  # noqa: S311 - the same list each time, nothing secret
    async with api_site(tmp_path) as site:
        for version in ("1.6", "2.0.1"):
            await site.register(f"BAD-{version}")
            async with site.station(f"BAD-{version}", version) as station:
                await station.boot()
                for number in range(N_MESSAGES // 2):
                    action, payload = worst(rng, version)
                    if action == "BootNotification" and number % 2:
                        continue
                    raw = f'[2,"w{number}","{action}",{payload}]'
                    answer = await station.exchange(f"w{number}", raw)
                    assert answer[0] in {3, 4}
                    assert answer[2] != "InternalError", raw
        n_page = await read_everything(site)
        assert n_page > 30


async def read_everything(site: ApiSite) -> int:
    """Read every page there is to read, of every object there is; returns how many."""
    document = (await site.client.get("/api/openapi.json")).json()
    sessions = await site.call("GET", "/sessions?limit=1000")
    assert sessions
    stations = [one["station_id"] for one in await site.call("GET", "/stations")]
    ids = {
        "station_id": stations,
        "session_id": [one["session_id"] for one in sessions][:60],
        "token": ["T"],
    }
    read = 0
    for path, operations in document["paths"].items():
        if "get" not in operations or path.endswith("/events"):
            continue
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if len(names) > 1 or any(name not in ids for name in names):
            continue
        for value in ids[names[0]] if names else [""]:
            filled = path.replace(f"{{{names[0]}}}", value) if names else path
            answer = await site.client.get(
                filled, headers={"Authorization": f"Bearer {site.secrets['admin']}"}
            )
            assert answer.status_code in {200, 404, 409, 422}, (filled, answer.text)
            read += 1
    return read
