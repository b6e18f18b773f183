"""One Modbus TCP connection, shared by the devices behind it."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from gateway.config.meters import RegisterKind
from gateway.errors import DeviceError

MAX_REGISTERS: Final = 125
"""In one request."""
MAX_BUSY_S: Final = 30.0
"""Real seconds that a device waits for the others on its connection."""
_REASONS: Final = {
    1: "it does not know this function",
    2: "there is no such register",
    3: "it does not take this value",
    4: "it failed",
    6: "it is busy",
    10: "the gateway has no way to this unit",
    11: "the unit behind the gateway does not answer",
}
"""Exception codes (Modbus application protocol V1.1b3, section 7)."""

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
# what it would say at every attempt is said once, by the poller


class RefusedError(DeviceError):
    """The device answered, and refused: the way to it is good."""


class Line:
    """A connection that is opened when it is needed and closed after any trouble.

    One request at a time: many devices and all gateways to serial buses need that. An
    answer that comes too late is never taken for that of the next request, since the
    connection it belongs to is closed.
    """

    def __init__(self, host: str, port: int) -> None:
        self.name = f"{host}:{port}"
        self._host = host
        self._port = port
        self._client: AsyncModbusTcpClient | None = None
        self._turn = asyncio.Lock()

    async def read(
        self,
        address: int,
        count: int,
        *,
        unit_id: int,
        timeout_s: float,
        kind: RegisterKind = RegisterKind.HOLDING,
    ) -> list[int]:
        """Read registers, in as many requests as they take.

        Raises:
            RefusedError: It does not give these registers.
            DeviceError: No connection, or no answer in time.
        """
        found: list[int] = []
        while len(found) < count:
            n_next = min(MAX_REGISTERS, count - len(found))
            start = address + len(found)
            async with self._turn_within():
                client = await self._connected(timeout_s)
                read = (
                    client.read_holding_registers
                    if kind is RegisterKind.HOLDING
                    else client.read_input_registers
                )
                answer = await self._answer(
                    read(start, count=n_next, device_id=unit_id), timeout_s
                )
            self._check(answer, f"register {start}")
            if len(answer.registers) != n_next:
                self.close()
                n_got = len(answer.registers)
                raise DeviceError(f"{self.name}: {n_got} registers, not {n_next}")
            found.extend(answer.registers)
        return found

    async def write(
        self, address: int, words: Sequence[int], *, unit_id: int, timeout_s: float
    ) -> None:
        """Write holding registers in one request.

        Raises:
            DeviceError: As `read`.
        """
        async with self._turn_within():
            client = await self._connected(timeout_s)
            answer = await self._answer(
                client.write_registers(address, list(words), device_id=unit_id),
                timeout_s,
            )
        self._check(answer, f"writing register {address}")

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _turn_within(self) -> "_Turn":
        return _Turn(self._turn, self.name)

    async def _connected(self, timeout_s: float) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        client = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=timeout_s,
            retries=0,
            reconnect_delay=0,
        )
        try:
            async with asyncio.timeout(timeout_s):
                is_open = await client.connect()
        except (TimeoutError, OSError, ModbusException) as error:
            client.close()
            raise DeviceError(f"{self.name} cannot be reached: {error}") from error
        if not is_open:
            client.close()
            raise DeviceError(f"{self.name} cannot be reached")
        self._client = client
        return client

    async def _answer(
        self, request: Awaitable[ModbusPDU], timeout_s: float
    ) -> ModbusPDU:
        try:
            async with asyncio.timeout(timeout_s):
                return await request
        except TimeoutError as error:
            self.close()
            raise DeviceError(
                f"{self.name} does not answer within {timeout_s:g} s"
            ) from error
        except (ModbusException, OSError) as error:
            self.close()
            raise DeviceError(f"{self.name} gives no usable answer: {error}") from error
        except asyncio.CancelledError:
            self.close()
            raise

    def _check(self, answer: ModbusPDU, what: str) -> None:
        if answer.isError():
            code = answer.exception_code
            reason = _REASONS.get(code, f"exception {code}")
            raise RefusedError(f"{self.name}, {what}: {reason}")


class Lines:
    """All connections of the site; one per host and port."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int], Line] = {}

    def to(self, host: str, port: int) -> Line:
        """The connection to a host and port."""
        return self._lines.setdefault((host, port), Line(host, port))

    def close(self) -> None:
        """Close all of them."""
        for line in self._lines.values():
            line.close()


class _Turn:
    """One's turn on a connection, waited for only so long."""

    def __init__(self, lock: asyncio.Lock, name: str) -> None:
        self._lock = lock
        self._name = name

    async def __aenter__(self) -> None:
        try:
            async with asyncio.timeout(MAX_BUSY_S):
                await self._lock.acquire()
        except TimeoutError as error:
            raise DeviceError(f"{self._name} is busy with other devices") from error

    async def __aexit__(self, *_reason: object) -> None:
        self._lock.release()
