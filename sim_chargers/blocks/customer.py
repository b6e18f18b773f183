"""What a station tells about a customer, and forgets (N09, N10)."""

from __future__ import annotations  # the station and its calls know each other

from functools import partial
from typing import TYPE_CHECKING, Final

from sim_chargers.answers import ACCEPTED, REJECTED
from sim_chargers.certificates import is_same_hash
from sim_chargers.clock import to_wire
from sim_chargers.outcomes import Reply

if TYPE_CHECKING:
    from sim_chargers.charger_v201 import ChargerV201
    from sim_chargers.frames import Payload

PAGE: Final = 512  # characters of NotifyCustomerInformationRequest.data
NOTHING: Final = "nothing is stored"


def customer_information(station: ChargerV201, payload: Payload) -> Reply:
    """Report, forget, or both; one of three ways names the customer (N09.FR.09)."""
    names = ("idToken", "customerIdentifier", "customerCertificate")
    given = [name for name in names if name in payload]
    if len(given) != 1:
        return Reply(payload={"status": "Invalid"})
    does_report, does_clear = bool(payload["report"]), bool(payload["clear"])
    if not does_report and not does_clear:
        return Reply(payload=REJECTED)
    tokens = _tokens(station, payload)
    text = _story(station, tokens) if does_report else ""
    if does_clear:
        for token in tokens:
            station.tokens.forget(token)
            station.customers = [c for c in station.customers if c[0] != token]

    def report() -> None:
        pages = [text[i : i + PAGE] for i in range(0, len(text), PAGE)] or [""]
        for seq_no, page in enumerate(pages):
            message = {
                "requestId": payload["requestId"],
                "generatedAt": to_wire(station.now()),
                "seqNo": seq_no,
                "data": page,
                "tbc": seq_no < len(pages) - 1,
            }
            station.enqueue("NotifyCustomerInformation", partial(dict, message))

    return Reply(payload=ACCEPTED, after=report)


def _tokens(station: ChargerV201, payload: Payload) -> list[str]:
    """Find the id tokens that a customer is known by, folded."""
    if "idToken" in payload:
        return [str(payload["idToken"]["idToken"]).casefold()]
    if "customerIdentifier" in payload:
        return [str(payload["customerIdentifier"]).casefold()]
    wanted = payload["customerCertificate"]
    return [
        token
        for token, certificate in station.contracts.items()
        if is_same_hash(certificate, None, wanted)
    ]


def _story(station: ChargerV201, tokens: list[str]) -> str:
    """Write down all that is stored about some tokens."""
    now = station.now()
    lines: list[str] = []
    for token in tokens:
        for place, rows in (
            ("local list", station.tokens.listed),
            ("cache", station.tokens.cache),
        ):
            entry = rows.get(token)
            if entry is not None:
                lines.append(f"{token}: {place}: {entry.at(now).status}")
        lines.extend(
            f"{token}: transaction {number} from {begun} to {ended}, {energy} Wh"
            for who, number, begun, ended, energy in station.customers
            if who == token
        )
    return "\n".join(lines) or NOTHING
