"""Short answers that many calls share."""

from typing import Any, Final

from sim_chargers.outcomes import Reply

ACCEPTED: Final[dict[str, Any]] = {"status": "Accepted"}
REJECTED: Final[dict[str, Any]] = {"status": "Rejected"}


def rejected(reason_code: str) -> Reply:
    """Refuse with a reason, as OCPP 2.0.1 can."""
    info = {"reasonCode": reason_code}
    return Reply(payload={"status": "Rejected", "statusInfo": info})
