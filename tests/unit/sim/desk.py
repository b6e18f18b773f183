"""A station that is not running, and its calls as functions."""

import io
import json
from typing import Any

from sim_chargers.charger import Charger
from sim_chargers.charger_v16 import ChargerV16
from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.clock import SiteClock
from sim_chargers.events import Events
from sim_chargers.evse import EvseSpec
from sim_chargers.fleet import make_charger
from sim_chargers.life import Surroundings
from sim_chargers.scenario import StationSpec

Payload = dict[str, Any]


def station(version: str, n_evse: int = 1) -> Charger:
    """A station without a network; its messages wait in the outbox."""
    around = Surroundings(
        url="ws://127.0.0.1:9/ocpp",
        clock=SiteClock(),
        events=Events(stream=io.StringIO()),
    )
    evses = tuple(EvseSpec(evse_id=number + 1) for number in range(n_evse))
    made = make_charger(
        StationSpec(id="CP1", ocpp=version, evses=evses), around, frozenset()
    )
    made.outbox.open()
    return made


def v16(n_evse: int = 1) -> ChargerV16:
    made = station("1.6", n_evse)
    assert isinstance(made, ChargerV16)
    return made


def v201(n_evse: int = 1) -> ChargerV201:
    made = station("2.0.1", n_evse)
    assert isinstance(made, ChargerV201)
    return made


def ask(cp: Charger, action: str, **payload: Any) -> Payload:
    """Serve a call, with what follows it; the answer."""
    reply = cp.on_call(action, payload)
    if reply.after is not None:
        reply.after()
    return dict(reply.payload)


def status(cp: Charger, action: str, **payload: Any) -> str:
    return str(ask(cp, action, **payload)["status"])


def said(cp: Charger, action: str) -> list[Payload]:
    """What waits to be sent."""
    return list(cp.outbox.waiting(action))


def told(cp: Charger, event: str) -> list[Payload]:
    """Lines for the parent."""
    stream = cp.around.events.stream
    assert isinstance(stream, io.StringIO)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [row for row in rows if row["event"] == event]
