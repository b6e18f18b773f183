"""An export behind a URL that is slow, wrong or away."""

import asyncio

import pytest

from ledger.errors import SourceError
from ledger.log_source import HttpSource, Tiles
from tests.support.http_stub import Answer, http_stub
from tests.support.ports import free_port


async def test_told_to_slow_down_a_witness_waits_and_asks_again() -> None:
    answers: list[Answer] = [(429, b""), (429, b""), (200, b"there")]
    waited: list[float] = []
    async with http_stub(lambda _body: answers.pop(0)) as stub:
        source = HttpSource(stub.url, sleep=waited.append)
        assert await asyncio.to_thread(source.get, "checkpoint") == b"there"
        assert waited == [2.0, 4.0]
        answers += [(429, b"")] * 6
        with pytest.raises(SourceError, match="429"):
            await asyncio.to_thread(source.get, "checkpoint")
        assert answers == [], "and then it is an alarm"


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"no"),
        (500, b"no"),
        (302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}),
        (200, b"x" * (8 * 2**20 + 1)),
    ],
    ids=["missing", "broken", "elsewhere", "endless"],
)
async def test_other_answers_are_none(answer: Answer) -> None:
    async with http_stub(lambda _body: answer) as stub:
        with pytest.raises(SourceError):
            await asyncio.to_thread(HttpSource(stub.url).get, "key")


async def test_what_is_away_or_no_tile_is_said() -> None:
    source = HttpSource(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SourceError, match="ConnectionError"):
        await asyncio.to_thread(source.get, "key")
    async with http_stub(lambda _body: (200, b"short")) as stub:
        tiles = Tiles(HttpSource(stub.url), 3)
        for ask in (lambda: tiles.node(0, 0), lambda: tiles.commitments(0)):
            with pytest.raises(SourceError, match=r"not a tile|a bundle of 5 bytes"):
                await asyncio.to_thread(ask)
