"""A device that answers anything but what it was asked costs only its own reading."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest
from typing_extensions import override

from gateway.config.meters import ModbusTable
from gateway.errors import DeviceError
from gateway.meters import modbus
from gateway.meters.line import Lines

N_READINGS = 40
TIMEOUT_S = 0.05


def answer(chance: random.Random, request: bytes) -> bytes:
    """Bytes, a wrong length, half a frame, another function, too few registers..."""
    number, unit, function = request[:2], request[6:7], request[7]
    wrong = chance.randrange(65_536).to_bytes(2, "big")
    return chance.choice(
        (
            chance.randbytes(chance.randrange(1, 60)),
            number + b"\0\0" + wrong + unit + bytes([function]) + chance.randbytes(9),
            number + b"\0\0\0\3" + unit + bytes([function | 0x80, 99]),
            number + b"\0\0\0\2" + unit + bytes([function | 0x80]),
            number + b"\0\0\0\5" + unit + bytes([function, 2, 0x53, 0x75]),
            b"\x99\x99\0\0\0\7" + unit + bytes([function, 4]) + b"SunS",
            number + b"\0\0\0\2" + unit + bytes([chance.randrange(1, 128)]),
            b"",
        )
    )


class Liar(asyncio.Protocol):
    """Answers every request with garbage, or hangs up."""

    def __init__(self, chance: random.Random, talks: list["Liar"]) -> None:
        self.chance = chance
        self.transport: asyncio.Transport | None = None
        talks.append(self)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        told = answer(self.chance, data)
        if told:
            self.send(told)
        else:
            self.close()

    def send(self, told: bytes) -> None:
        assert self.transport is not None
        self.transport.write(told)

    def close(self) -> None:
        assert self.transport is not None
        self.transport.close()


@contextlib.asynccontextmanager
async def liar(seed: int) -> AsyncIterator[int]:
    """A port behind which somebody lies."""
    chance = random.Random(seed)  # noqa: S311 - the same garbage every time
    talks: list[Liar] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Liar(chance, talks), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for talk in talks:
            talk.close()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", [1, 2])
async def test_garbage_is_an_error_of_the_device_every_time(seed: int) -> None:
    lines = Lines()
    async with liar(seed) as port:
        table = ModbusTable(host="127.0.0.1", port=port, timeout_s=TIMEOUT_S)
        device = modbus.device(table, lines.to("127.0.0.1", port), is_inverter=False)
        for _ in range(N_READINGS):
            with pytest.raises(DeviceError):
                await device.read()
        lines.close()
        await asyncio.sleep(0)
