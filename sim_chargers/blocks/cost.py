"""What a driver is told about the price (2.0.1: I01 to I06; 1.6: California pricing).

OCPP 1.6 has no message for it: the DataTransfer of the Open Charge Alliance's paper on
the Californian requirements carries it, under a vendor id of its own.
"""

from __future__ import annotations  # the station and its calls know each other

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.clock import from_wire, to_wire
from sim_chargers.evse import MILLIWH_PER_WH
from sim_chargers.outcomes import Reply

if TYPE_CHECKING:
    from sim_chargers.charger import Charger
    from sim_chargers.charger_v16 import ChargerV16
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.connector import Connector
    from sim_chargers.frames import Payload

COST_VENDOR: Final = "org.openchargealliance.costmsg"
MAX_KEPT: Final = 1000  # final costs that are remembered
W_PER_KW: Final = 1000.0
MILLIWH_PER_KWH: Final = 1000 * MILLIWH_PER_WH


@dataclass(slots=True)
class Costs:
    """The latest news about prices and costs; amounts as the wire has them.

    Attributes:
        prices: Text by id token.
        running: Latest cost by transaction.
        final: Final cost by transaction.
        alarms: By transaction: what makes the station send its meter at once.
        powers_kw: By transaction: the power when its alarm was set.
    """

    prices: dict[str, str] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    alarms: dict[str, dict[str, Any]] = field(default_factory=dict)
    powers_kw: dict[str, float] = field(default_factory=dict)

    def note(self, transaction: str, cost: float, *, is_final: bool) -> None:
        """Keep a cost; of old transactions only so many."""
        if not is_final:
            self.running[transaction] = cost
            return
        self.running.pop(transaction, None)
        self.final[transaction] = cost
        while len(self.final) > MAX_KEPT:
            del self.final[next(iter(self.final))]


def data_transfer_v16(station: ChargerV16, payload: Payload) -> Reply:
    """Take prices and costs; no other vendor is known (4.3)."""
    if payload["vendorId"] != COST_VENDOR:
        return Reply(payload={"status": "UnknownVendorId"})
    take = {
        "SetUserPrice": _user_price,
        "RunningCost": _running_cost,
        "FinalCost": _final_cost,
    }.get(payload.get("messageId", ""))
    if take is None:
        return Reply(payload={"status": "UnknownMessageId"})
    try:
        body = json.loads(payload.get("data", ""))
        take(station, body)
    except (KeyError, TypeError, ValueError):
        return Reply(payload=REJECTED)
    return Reply(payload=ACCEPTED)


def data_transfer_v201(station: ChargerV201, payload: Payload) -> Reply:
    """No vendor extension is known (P01)."""
    del station
    str(payload["vendorId"])
    return Reply(payload={"status": "UnknownVendorId"})


def cost_updated(station: ChargerV201, payload: Payload) -> Reply:
    """Show the running cost (I02)."""
    transaction, cost = str(payload["transactionId"]), float(payload["totalCost"])
    station.costs.note(transaction, cost, is_final=False)
    show_cost(station, transaction, cost, is_final=False)
    return Reply(payload={})


def show_cost(
    station: Charger, transaction: str, cost: float, *, is_final: bool, text: str = ""
) -> None:
    """Tell the parent what the display shows."""
    station.around.events.emit(
        "cost_shown",
        station=station.spec.id,
        transaction=transaction,
        cost=cost,
        is_final=is_final,
        text=text,
    )


def show_price(station: Charger, token: str, text: str) -> None:
    """Tell the parent what price the display shows to a token's owner."""
    station.costs.prices[token.casefold()] = text
    station.around.events.emit(
        "price_shown", station=station.spec.id, id_token=token, text=text
    )


def sample_when_due(station: ChargerV16) -> None:
    """Send the meter when a running cost asked for it (triggerMeterValue)."""
    for connector in station.connectors.values():
        transaction = connector.transaction
        if transaction is None or transaction.wire_id is None:
            continue
        alarm = station.costs.alarms.get(transaction.wire_id)
        if alarm is not None and _is_due(station, connector, alarm):
            del station.costs.alarms[transaction.wire_id]
            station.send_sample(connector, transaction, "Other")


def tell_unplugged(station: ChargerV16, connector: Connector) -> None:
    """Say when the cable was taken, for idle fees (ConnectorUnplugged)."""
    last = connector.last_transaction_id
    if last is None or not station.is_true("CustomDisplayCostAndPrice"):
        return
    connector.last_transaction_id = None
    body = {"transactionId": int(last), "timestamp": to_wire(station.now())}
    payload = {
        "vendorId": COST_VENDOR,
        "messageId": "ConnectorUnplugged",
        "data": json.dumps(body),
    }
    station.enqueue("DataTransfer", lambda: payload)


def _user_price(station: ChargerV16, body: dict[str, Any]) -> None:
    show_price(station, str(body["idToken"]), str(body["priceText"]))


def _running_cost(station: ChargerV16, body: dict[str, Any]) -> None:
    transaction, cost = str(body["transactionId"]), float(body["cost"])
    station.costs.note(transaction, cost, is_final=False)
    if "triggerMeterValue" in body:
        station.costs.alarms[transaction] = dict(body["triggerMeterValue"])
        connector = station.transaction_connector(transaction)
        if connector is not None:
            station.costs.powers_kw[transaction] = _power_kw(connector)
    show_cost(station, transaction, cost, is_final=False)


def _final_cost(station: ChargerV16, body: dict[str, Any]) -> None:
    transaction, cost = str(body["transactionId"]), float(body["cost"])
    station.costs.note(transaction, cost, is_final=True)
    text = str(body.get("priceText", ""))
    show_cost(station, transaction, cost, is_final=True, text=text)


def _is_due(station: ChargerV16, connector: Connector, alarm: dict[str, Any]) -> bool:
    if "atTime" in alarm and station.now() >= from_wire(str(alarm["atTime"])):
        return True
    if "atEnergykWh" in alarm:
        level_milliwh = float(alarm["atEnergykWh"]) * MILLIWH_PER_KWH
        if connector.evse.register_milliwh >= level_milliwh:
            return True
    if "atPowerkW" in alarm and connector.transaction is not None:
        level_kw = float(alarm["atPowerkW"])
        before_kw = station.costs.powers_kw.get(str(connector.transaction.wire_id), 0.0)
        if (before_kw < level_kw) is not (_power_kw(connector) < level_kw):
            return True
    state = alarm.get("atCPStatus")
    return state is not None and station.status_of(connector) in (
        state if isinstance(state, list) else [state]
    )


def _power_kw(connector: Connector) -> float:
    return connector.evse.draw.power_w / W_PER_KW
