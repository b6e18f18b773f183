"""Messages on the station's display (O01 to O06)."""

from __future__ import annotations  # the station and its calls know each other

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED
from sim_chargers.clock import from_wire
from sim_chargers.device_model import members
from sim_chargers.outcomes import Reply

if TYPE_CHECKING:
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload

PART: Final = 2  # messages per NotifyDisplayMessages
UNKNOWN: Final[dict[str, Any]] = {"status": "Unknown"}


def set_display_message(station: ChargerV201, payload: Payload) -> Reply:
    """Show a message, or another in its place (O01, O02, O06)."""
    message = payload["message"]
    formats = members(station.model.text("DisplayMessageCtrlr", "SupportedFormats"))
    if message["message"]["format"] not in formats:
        return Reply(payload={"status": "NotSupportedMessageFormat"})
    transaction = message.get("transactionId")
    if transaction is not None and station.transaction_connector(transaction) is None:
        return Reply(payload={"status": "UnknownTransaction"})
    room = int(station.model.text("DisplayMessageCtrlr", "NumberOfDisplayMessages"))
    number = int(message["id"])
    if number not in station.display and len(station.display) >= room:
        return Reply(payload={"status": "Rejected"})
    if message["priority"] == "AlwaysFront":  # O01.FR.12: there is one only
        station.display = {
            i: m for i, m in station.display.items() if m["priority"] != "AlwaysFront"
        }
    station.display[number] = dict(message)
    station.around.events.emit(
        "message_shown",
        station=station.spec.id,
        id=number,
        priority=message["priority"],
        content=message["message"]["content"],
    )
    return Reply(payload=ACCEPTED)


def get_display_messages(station: ChargerV201, payload: Payload) -> Reply:
    """Report messages in parts (O03, O04)."""
    wanted = payload.get("id")
    found = [
        message
        for number, message in station.display.items()
        if (wanted is None or number in wanted)
        and payload.get("priority") in (None, message["priority"])
        and payload.get("state") in (None, message.get("state"))
    ]
    if not found:
        return Reply(payload=UNKNOWN)

    def report() -> None:
        for first in range(0, len(found), PART):
            part = {
                "requestId": payload["requestId"],
                "messageInfo": found[first : first + PART],
                "tbc": first + PART < len(found),
            }
            station.enqueue("NotifyDisplayMessages", partial(dict, part))

    return Reply(payload=ACCEPTED, after=report)


def clear_display_message(station: ChargerV201, payload: Payload) -> Reply:
    """Take a message away (O05)."""
    found = station.display.pop(int(payload["id"]), None)
    return Reply(payload=UNKNOWN if found is None else ACCEPTED)


def expire(station: ChargerV201) -> None:
    """Take away what is over: its time, or its transaction (O01.FR.07, O02.FR.02)."""
    now = station.now()
    station.display = {
        number: message
        for number, message in station.display.items()
        if ("endDateTime" not in message or from_wire(message["endDateTime"]) > now)
        and (
            "transactionId" not in message
            or station.transaction_connector(message["transactionId"]) is not None
        )
    }
