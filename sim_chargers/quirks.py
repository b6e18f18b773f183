"""What misbehaving firmware makes of a message before it goes out, and after.

Each fault of :mod:`faults` that is about contents is one function here; a
:class:`Distorter` keeps what they must remember of one station.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

from sim_chargers.clock import from_wire
from sim_chargers.faults import Faults
from sim_chargers.frames import Payload

REGISTER: Final = "Energy.Active.Import.Register"
ABSURD_NUMBER: Final = 1_634_030_126
ABSURD_TIMES: Final = ("222222017-01-01T00:00:00Z", "2026-00-00T00:00:00Z")
ZONE: Final = timedelta(hours=2)
DROP_EVERY: Final = 3
STOP_EXTRA_WH: Final = 100

_RELATING: Final = ("relative-registers", "fresh-registers")

Body: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Distorter:
    """Distorts the calls of one station."""

    faults: Faults
    _sent: dict[str, int] = field(default_factory=dict)
    _start: tuple[str, Body] | None = None
    _start_wh: dict[Any, float] = field(default_factory=dict)
    _place: dict[Any, Any] = field(default_factory=dict)

    def outgoing(self, action: str, payload: Payload) -> Payload:
        """Return the payload as this firmware sends it."""
        names = [name for name in _DISTORTIONS if name in self.faults]
        count = self._sent[action] = self._sent.get(action, 0) + 1
        if "restarted-starts" in self.faults and is_start(action, payload):
            self._start = (action, dict(payload))
        relating = [name for name in _RELATING if name in self.faults]
        if relating:
            self._note_start(action, payload)
            names += relating
        if not names:
            return payload
        body: Body = deepcopy(dict(payload))
        for name in names:
            if name in _RELATING:
                self._relate(action, body, is_whole=name == "fresh-registers")
            else:
                body = _DISTORTIONS[name](action, body, count)
        return body

    def afterwards(self, action: str, payload: Payload) -> list[tuple[str, Payload]]:
        """List what goes out once more, under new ids, after ``payload``'s answer."""
        more: list[tuple[str, Payload]] = []
        if is_stop(action, payload):
            if "repeated-stops" in self.faults:
                more.append((action, payload))
            if "differing-stops" in self.faults:
                more.append((action, _raised(action, payload)))
            if self._start is not None:
                more.append(self._start)
                self._start = None
        if action == "MeterValues" and "no-transaction-id" in self.faults:
            main: Body = deepcopy(dict(payload))
            main["connectorId" if "connectorId" in main else "evseId"] = 0
            more.append((action, main))
        return more

    def _note_start(self, action: str, payload: Payload) -> None:
        if action == "StartTransaction":
            self._start_wh[payload["connectorId"]] = float(payload["meterStart"])
        elif is_start(action, payload):
            for value in registers(dict(payload)):
                key = payload["transactionInfo"]["transactionId"]
                self._start_wh[key] = float(value["value"])

    def _relate(self, action: str, body: Body, *, is_whole: bool) -> None:
        """Count the samples of a transaction, or all of it, from its start."""
        if action == "MeterValues" and "transactionId" in body:
            base_wh = self._start_wh.get(body["connectorId"], 0.0)
            self._place[body["transactionId"]] = body["connectorId"]
        elif action == "TransactionEvent" and (
            is_whole or body["eventType"] == "Updated"
        ):
            key = body["transactionInfo"]["transactionId"]
            base_wh = self._start_wh.get(key, 0.0)
        elif is_whole and action == "StartTransaction":
            body["meterStart"] = 0
            return
        elif is_whole and action == "StopTransaction":
            last = next(reversed(self._start_wh), None)
            base_wh = self._start_wh.get(
                self._place.get(body["transactionId"], last), 0
            )
            body["meterStop"] -= round(base_wh)
        else:
            return
        for value in registers(body):
            relative = round(float(value["value"]) - base_wh, 3)
            value["value"] = _like(value["value"], relative)


def is_start(action: str, payload: Payload) -> bool:
    """Whether a call begins a transaction."""
    return action == "StartTransaction" or payload.get("eventType") == "Started"


def is_stop(action: str, payload: Payload) -> bool:
    """Whether a call ends a transaction."""
    return action == "StopTransaction" or payload.get("eventType") == "Ended"


def registers(body: Body) -> list[Body]:
    """List the sampled import registers of a call."""
    return [
        value
        for group in (*body.get("meterValue", ()), *body.get("transactionData", ()))
        for value in group["sampledValue"]
        if value.get("measurand") == REGISTER
    ]


def _wrong_version(action: str, body: Body, count: int) -> Body:
    """Every other boot has the shape of the other version."""
    if action != "BootNotification" or count % 2 == 0:
        return body
    if "chargingStation" in body:
        station = body["chargingStation"]
        return {
            "chargePointVendor": station["vendorName"],
            "chargePointModel": station["model"],
        }
    return {
        "reason": "PowerUp",
        "chargingStation": {
            "vendorName": body["chargePointVendor"],
            "model": body["chargePointModel"],
        },
    }


def _schema_breaks(action: str, body: Body, _count: int) -> Body:
    match action:
        case "BootNotification" if "chargingStation" in body:
            body["chargingStation"]["serialNumber"] = "S" * 33
            body["chargingStation"]["modem"] = None
        case "BootNotification":
            body |= {"chargePointSerialNumber": "S" * 33, "iccid": None}
        case "StatusNotification" if "errorCode" in body:
            body |= {"errorCode": "CatOnCable", "info": "i" * 60}
        case "StatusNotification":
            body["connectorStatus"] = body["connectorStatus"].lower()
        case "StopTransaction":
            body |= {"reason": None, "vendorHint": {"a": [1]}}
        case "TransactionEvent":
            body["triggerReason"] = "MeterValueCyclic"
        case "MeterValues":
            body["vendorHint"] = 1
        case _:
            pass
    return body


def _absurd_values(action: str, body: Body, count: int) -> Body:
    if action not in {"MeterValues", "StatusNotification", "TransactionEvent"}:
        return body
    if action == "StatusNotification" and count % 2 == 0:
        number = "connectorId" if "errorCode" in body else "evseId"
        body[number] = ABSURD_NUMBER
    if action != "TransactionEvent" or body["eventType"] == "Updated":
        _each_time(body, lambda _text: ABSURD_TIMES[count % len(ABSURD_TIMES)])
    return body


def _odd_transaction_ids(action: str, body: Body, _count: int) -> Body:
    if action == "MeterValues" and "transactionId" in body:
        body["transactionId"] = 0
    elif action == "StopTransaction":
        body["transactionId"] = -1
    elif body.get("eventType") == "Updated":
        body["transactionInfo"]["transactionId"] = "0"
    elif body.get("eventType") == "Ended":
        body["transactionInfo"]["transactionId"] = "-1"
    return body


def _register_drops(action: str, body: Body, count: int) -> Body:
    is_sample = action == "MeterValues" or body.get("eventType") == "Updated"
    if is_sample and count % DROP_EVERY == 0:
        for value in registers(body):
            value["value"] = _like(value["value"], 0.0)
    return body


def _placeholder_start(action: str, body: Body, _count: int) -> Body:
    if action == "StartTransaction":
        body["meterStart"] = 0
    elif body.get("eventType") == "Started":
        for value in registers(body):
            value["value"] = _like(value["value"], 0.0)
    return body


def _kilo_registers(_action: str, body: Body, _count: int) -> Body:
    for name in ("meterStart", "meterStop"):
        if name in body:
            body[name] //= 1000
    for value in registers(body):
        kwh = float(value["value"]) / 1000
        is_text = isinstance(value["value"], str)
        value["value"] = f"{kwh:.3f}" if is_text else round(kwh, 3)
    return body


def _odd_units(action: str, body: Body, _count: int) -> Body:
    """Kilowatt-hours with a comma, no measurand, text that is no number."""
    for value in registers(body):
        del value["measurand"]
        if isinstance(value["value"], str):
            text = f" {float(value['value']) / 1000:.4f}"
            value |= {"value": text.replace(".", ","), "unit": "kWh"}
        else:
            value |= {
                "value": float(Decimal(str(value["value"])) / 1000),
                "unitOfMeasure": {"unit": "KWH"},
            }
    if action == "MeterValues" and "connectorId" in body:
        for group in body["meterValue"]:
            group["sampledValue"].append({"value": "N/A", "measurand": "SoC"})
    if action == "StopTransaction":
        body["meterStop"] = float(body["meterStop"])
    return body


def _no_transaction_id(action: str, body: Body, _count: int) -> Body:
    if action == "MeterValues":
        body.pop("transactionId", None)
    elif action == "TransactionEvent" and body["eventType"] != "Started":
        del body["evse"]
    return body


def _local_time(_action: str, body: Body, _count: int) -> Body:
    _each_time(
        body,
        lambda text: (from_wire(text) + ZONE).replace(tzinfo=None).isoformat(),
    )
    return body


_DISTORTIONS: Final[dict[str, Callable[[str, Body, int], Body]]] = {
    "wrong-version": _wrong_version,
    "schema-breaks": _schema_breaks,
    "absurd-values": _absurd_values,
    "odd-transaction-ids": _odd_transaction_ids,
    "register-drops": _register_drops,
    "placeholder-start": _placeholder_start,
    "kilo-registers": _kilo_registers,
    "odd-units": _odd_units,
    "no-transaction-id": _no_transaction_id,
    "local-time": _local_time,
}


def _raised(action: str, payload: Payload) -> Body:
    """The same stop with more on the meter."""
    body: Body = deepcopy(dict(payload))
    if action == "StopTransaction":
        body["meterStop"] += STOP_EXTRA_WH
    for value in registers(body):
        value["value"] = _like(value["value"], float(value["value"]) + STOP_EXTRA_WH)
    return body


def _like(old: object, new: float) -> object:
    """A number as the version writes it: text in 1.6."""
    return f"{new:.0f}" if isinstance(old, str) else new


def _each_time(part: object, change: Callable[[str], str]) -> None:
    """Rewrite every ``timestamp`` in a payload."""
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "timestamp" and isinstance(inner, str):
                part[name] = change(inner)
            else:
                _each_time(inner, change)
    elif isinstance(part, list):
        for inner in part:
            _each_time(inner, change)
