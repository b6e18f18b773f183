"""Which version a connection speaks: the first of the station's that we know."""

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Subprotocol

from tests.conformance.desk import PASSWORD, Operator
from tests.support.queue_station import ask, basic


async def offer(
    operator: Operator, station_id: str, *subprotocols: str
) -> ClientConnection:
    return await connect(
        f"{operator.desk.ocpp_url}/{station_id}",
        subprotocols=[Subprotocol(one) for one in subprotocols],
        additional_headers=basic(station_id, PASSWORD),
    )


async def test_a_station_of_2_1_only_is_closed_with_a_reason_and_shown(
    operator: Operator,
) -> None:
    station_id = await operator.register()
    socket = await offer(operator, station_id, "ocpp2.1")
    assert socket.subprotocol is None
    with pytest.raises(ConnectionClosedError) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1002
    assert "ocpp2.0.1" in closed.value.rcvd.reason


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (("ocpp2.1", "ocpp2.0.1", "ocpp1.6"), "ocpp2.0.1"),
        (("ocpp1.6", "ocpp2.0.1"), "ocpp1.6"),
        (("ocpp2.1", "ocpp1.6"), "ocpp1.6"),
    ],
)
async def test_the_first_version_that_we_know_is_spoken(
    operator: Operator, offered: tuple[str, ...], agreed: str
) -> None:
    station_id = await operator.register()
    async with await offer(operator, station_id, *offered) as socket:
        assert socket.subprotocol == agreed
        answer = await ask(socket, "m1", "Heartbeat", {})
    assert answer[2] == "SecurityError", "served in that version, not accepted yet"
