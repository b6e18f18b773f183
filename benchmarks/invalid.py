"""What an invalid message costs, and that its sender is told what is wrong.

Stations send CALLs that break the schema, each in another way, one after the other, and
every answer must be the CALLERROR that it should be. A refused frame is in the store
before it is answered, up to 60 a minute and connection: no station sends more here.
"""

import json
import statistics
import time
from typing import Any, Final

from websockets.sync.client import connect
from websockets.typing import Subprotocol

from benchmarks.harness import LoadFailed, Server

ROUNDS: Final = 6
CASES: Final[tuple[tuple[str, str, str], ...]] = (
    ("BootNotification", '{"chargePointVendor":"V"}', "OccurenceConstraintViolation"),
    ("Heartbeat", '{"extra":true}', "FormationViolation"),
    ("MakeCoffee", "{}", "NotImplemented"),
    ("MeterValues", '{"connectorId":1}', "OccurenceConstraintViolation"),
    ("MeterValues", "[]", "FormationViolation"),
    ("Authorize", '{"idTag":"' + 30 * "x" + '"}', "PropertyConstraintViolation"),
    (
        "StatusNotification",
        '{"connectorId":"one","errorCode":"NoError","status":"Available"}',
        "TypeConstraintViolation",
    ),
)
_BOOT: Final = (
    '[2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
)


def measure(server: Server, n_station: int) -> dict[str, Any]:
    """Send and check; the stations ``LG000000`` and on must be registered.

    Raises:
        LoadFailed: An answer was not the right one.
    """
    waited_s: list[float] = []
    cpu_s = 0.0
    for number in range(n_station):
        url = server.url.replace("{id}", f"LG{number:06d}")
        with connect(url, subprotocols=[Subprotocol("ocpp1.6")]) as socket:
            socket.send(_BOOT)
            socket.recv(timeout=10)
            before_s = server.cpu_s()
            for turn in range(ROUNDS):
                for place, (action, payload, code) in enumerate(CASES):
                    message_id = f"{turn}-{place}"
                    started_s = time.perf_counter()
                    socket.send(f'[2,"{message_id}","{action}",{payload}]')
                    answer = json.loads(socket.recv(timeout=10))
                    waited_s.append(time.perf_counter() - started_s)
                    if answer[:3] != [4, message_id, code]:
                        raise LoadFailed(f"{action} {payload}: {answer}")
            cpu_s += server.cpu_s() - before_s
    centiles = statistics.quantiles(waited_s, n=100)
    return {
        "messages": len(waited_s),
        "us_per_msg": round(cpu_s / len(waited_s) * 1e6),
        "p50_ms": round(centiles[49] * 1000, 2),
        "p99_ms": round(centiles[98] * 1000, 2),
    }
