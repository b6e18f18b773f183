"""pymodbus's own TCP server as the devices of a site, with SunSpec blocks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import SimData, SimDevice
from pymodbus.simulator.simutils import DataType

BASE = 40_000
MARKER = [0x5375, 0x6E53]
END = [0xFFFF, 0]
MISSING = 0x8000
MISSING_UINT = 0xFFFF


def word(value: int) -> int:
    """A signed number as a register."""
    return value & 0xFFFF


def block(model: int, length: int, values: Mapping[int, int]) -> list[int]:
    """A SunSpec block: number, length, and values at their places."""
    words = [model, length] + [MISSING] * length
    for place, value in values.items():
        words[place] = word(value)
    return words


def sunspec(*blocks: Sequence[int]) -> list[int]:
    """All registers of a device, with the common model first."""
    common = block(1, 66, {2: 0x5774})
    return [*MARKER, *common, *(w for one in blocks for w in one), *END]


def meter_203(
    *,
    amps: tuple[int, int, int],
    watts: tuple[int, int, int],
    amps_scale: int = -2,
    watts_scale: int = 0,
    volts: int = 2300,
) -> list[int]:
    """A three-phase meter: currents in counts of the scale, power per phase."""
    return block(
        203,
        105,
        {
            2: sum(amps),
            **dict(zip((3, 4, 5), amps, strict=True)),
            6: amps_scale,
            **dict.fromkeys((8, 9, 10), volts),
            15: -1,
            18: sum(watts),
            **dict(zip((19, 20, 21), watts, strict=True)),
            22: watts_scale,
        },
    )


def inverter_103(*, amps: int, watts: int) -> list[int]:
    """A three-phase inverter: A in tenths, power in W."""
    return block(
        103,
        50,
        {3: amps, 4: amps, 5: amps, 6: -1, 10: 230, 11: 230, 12: 230, 13: 0}
        | {14: watts, 15: 0},
    )


@dataclass(slots=True)
class Unit:
    """One device; what it does can be changed while it runs."""

    registers: list[int]
    base: int = BASE
    delay_s: float = 0.0
    refusal: ExcCodes | None = None
    written: list[tuple[int, list[int]]] = field(default_factory=list)

    async def act(
        self,
        function_code: int,
        start: int,
        address: int,
        _count: int,
        current: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """What pymodbus calls at every request."""
        assert function_code
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if values is not None:
            words = [int(value) for value in values]
            self.written.append((address, words))
            self.registers[address - start : address - start + len(words)] = words
        current[: len(self.registers)] = self.registers
        return self.refusal


@dataclass(slots=True, kw_only=True)
class Server:
    """A running server."""

    port: int
    units: Mapping[int, Unit]
    connections: list[bool] = field(default_factory=list)


@contextlib.asynccontextmanager
async def modbus_server(
    units: Mapping[int, Unit], *, port: int = 0
) -> AsyncIterator[Server]:
    """The units behind one port within the block."""
    devices = [
        SimDevice(
            id=unit_id,
            simdata=[
                SimData(unit.base, values=unit.registers, datatype=DataType.REGISTERS)
            ],
            action=unit.act,
        )
        for unit_id, unit in units.items()
    ]
    opened: list[bool] = []
    server = ModbusTcpServer(
        devices, address=("127.0.0.1", port), trace_connect=opened.append
    )
    await server.serve_forever(background=True)
    assert isinstance(server.transport, asyncio.Server)
    bound = server.transport.sockets[0].getsockname()[1]
    try:
        yield Server(port=bound, units=units, connections=opened)
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # not annotated
