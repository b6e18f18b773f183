"""A set-up belongs to the connection it began on. Row 16.

Row numbers are those of ``docs/conformance.md``, Real chargers.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import StationId
from gateway.errors import NotConnected
from gateway.ocpp.adapter import Command
from tests.support.ocpp_port import BOOT_16, Port, RawStation, open_port, until

CP1 = StationId("CP1")
CLEAR = Command(action="ClearCache", payload={})
QUIET_S = 0.3
SETTLE_S = 3.0
"""A station that is back boots within this."""


def port_at(path: Path, *, settle_s: float = 60) -> AbstractAsyncContextManager[Port]:
    """A port that asks no station whether it restarted over a question."""
    return open_port(path, blamed=timedelta(0), settle_s=settle_s)


async def half_set_up(old: RawStation) -> None:
    """Boot, and leave the first setting without an answer."""
    await old.ask("BootNotification", BOOT_16)
    frame = await old.receive()
    assert frame[2] == "GetConfiguration"
    await old.send([3, frame[1], {"configurationKey": []}])
    assert (await old.receive())[2] == "ChangeConfiguration"


async def quiet(cp: RawStation, for_s: float = QUIET_S) -> bool:
    """Whether nothing comes for a while."""
    try:
        async with asyncio.timeout(for_s):
            await cp.receive()
    except TimeoutError:
        return True
    return False


async def answer_all(cp: RawStation) -> list[dict[str, Any]]:
    """Answer what comes until nothing more does; the settings that were written.

    Two are waited for.
    """
    written: list[dict[str, Any]] = []
    while True:
        try:
            async with asyncio.timeout(30 if len(written) < 2 else QUIET_S):
                frame = await cp.receive()
        except TimeoutError:
            return written
        if frame[2] == "ChangeConfiguration":
            written.append(frame[3])
            await cp.send([3, frame[1], {"status": "Accepted"}])
        else:
            said = [{**one, "readonly": False} for one in written]
            await cp.send([3, frame[1], {"configurationKey": said}])


@pytest.mark.quirk(16)
async def test_a_set_up_does_not_go_on_over_the_next_connection(
    tmp_path: Path,
) -> None:
    """The new connection is there before the old one is known to be gone."""
    async with port_at(tmp_path) as port, port.station() as old:
        await half_set_up(old)
        async with port.station() as new:
            await old.closed()
            assert await quiet(new)
            await new.ask("BootNotification", BOOT_16)
            keys = [one["key"] for one in await answer_all(new)]
            assert len(keys) == len(set(keys)) == 2


@pytest.mark.quirk(16)
async def test_a_station_that_comes_back_without_a_boot_is_set_up_anew(
    tmp_path: Path,
) -> None:
    async with port_at(tmp_path, settle_s=0.05) as port, port.station() as old:
        await half_set_up(old)
        async with port.station() as new:
            await old.closed()
            frame = await new.receive()
            assert frame[2] == "GetConfiguration"
            await new.send([3, frame[1], {"configurationKey": []}])
            assert len(await answer_all(new)) == 2


@pytest.mark.quirk(16)
async def test_a_station_that_boots_in_time_is_set_up_once(tmp_path: Path) -> None:
    async with port_at(tmp_path, settle_s=SETTLE_S) as port:
        async with port.station() as old:
            await half_set_up(old)
        async with port.station() as new:
            await new.ask("BootNotification", BOOT_16)
            assert len(await answer_all(new)) == 2
            assert await quiet(new, for_s=SETTLE_S + 1)


@pytest.mark.quirk(16)
async def test_a_station_that_goes_over_every_set_up_is_left_alone_until_it_boots(
    tmp_path: Path,
) -> None:
    async with port_at(tmp_path, settle_s=0.02) as port:
        async with port.station() as cp:
            await half_set_up(cp)
        for _ in range(3):
            async with port.station() as cp:
                assert (await cp.receive())[0] == 2
        async with port.station() as cp:
            assert await quiet(cp)
            await cp.ask("BootNotification", BOOT_16)
            assert (await cp.receive())[0] == 2


async def test_a_call_for_one_connection_never_goes_out_on_the_next(
    tmp_path: Path,
) -> None:
    async with open_port(tmp_path) as port:
        async with port.station():
            await until(lambda: port.links.is_online(CP1))
            first = port.links.epoch_of(CP1)
            assert first is not None
        await until(lambda: not port.links.is_online(CP1))
        assert port.links.epoch_of(CP1) is None
        async with port.station() as cp:
            await until(lambda: port.links.is_online(CP1))
            with pytest.raises(NotConnected):
                await port.links.call(CP1, CLEAR, timeout_s=1, epoch=first)
            second = port.links.epoch_of(CP1)
            async with asyncio.TaskGroup() as group:
                ours = group.create_task(
                    port.links.call(CP1, CLEAR, timeout_s=5, epoch=second)
                )
                frame = await cp.receive()
                assert frame[2] == "ClearCache"
                await cp.send([3, frame[1], {"status": "Accepted"}])
            assert ours.result() == {"status": "Accepted"}
