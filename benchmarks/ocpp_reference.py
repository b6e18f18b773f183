"""A minimal central system on the ``ocpp`` package as its documentation shows it.

The yardstick of ``bench_messages.py``: default settings (validation on), nothing is
stored. Usage: ``python ocpp_reference.py PORT``.
"""

import asyncio
import sys
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call_result as result16
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call_result as result201
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

_numbers: Final = count(1)


def _now() -> str:
    return datetime.now(UTC).isoformat()  # noqa: TID251 - the yardstick has no clock to inject


class Station16(ChargePoint16):  # type: ignore[misc]  # the package has no types
    """One OCPP 1.6 station."""

    @on("BootNotification")  # type: ignore[untyped-decorator]  # the package has no types
    def on_boot(self, **_fields: Any) -> Any:  # noqa: ANN401 - the package has no types
        """Accept every boot."""
        return result16.BootNotification(
            current_time=_now(), interval=300, status="Accepted"
        )

    @on("StartTransaction")  # type: ignore[untyped-decorator]  # the package has no types
    def on_start(self, **_fields: Any) -> Any:  # noqa: ANN401 - the package has no types
        """Number the transactions."""
        return result16.StartTransaction(
            transaction_id=next(_numbers), id_tag_info=IdTagInfo(status="Accepted")
        )

    @on("MeterValues")  # type: ignore[untyped-decorator]  # the package has no types
    def on_meter(self, **_fields: Any) -> Any:  # noqa: ANN401 - the package has no types
        """Take the values and forget them."""
        return result16.MeterValues()


class Station201(ChargePoint201):  # type: ignore[misc]  # the package has no types
    """One OCPP 2.0.1 station."""

    @on("BootNotification")  # type: ignore[untyped-decorator]  # the package has no types
    def on_boot(self, **_fields: Any) -> Any:  # noqa: ANN401 - the package has no types
        """Accept every boot."""
        return result201.BootNotification(
            current_time=_now(), interval=300, status="Accepted"
        )

    @on("TransactionEvent")  # type: ignore[untyped-decorator]  # the package has no types
    def on_transaction(self, **_fields: Any) -> Any:  # noqa: ANN401 - the package has no types
        """Take the event and forget it."""
        return result201.TransactionEvent()


async def _serve(connection: ServerConnection) -> None:
    made = Station201 if connection.subprotocol == "ocpp2.0.1" else Station16
    path = "" if connection.request is None else connection.request.path
    station = made(path.rpartition("/")[2], connection)
    try:
        await station.start()
    except websockets.ConnectionClosed:
        return


async def main(port: int) -> None:
    """Serve on loopback until killed."""
    offered = [Subprotocol("ocpp2.0.1"), Subprotocol("ocpp1.6")]
    async with serve(_serve, "127.0.0.1", port, subprotocols=offered) as server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(0)
