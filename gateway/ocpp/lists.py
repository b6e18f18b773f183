"""What the rest of the system sees of local authorization lists on the wire."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from gateway.domain.local_list import Listed, Room, Update, UpdateStatus
from gateway.ocpp.adapter import Command

SEND: Final = "SendLocalList"
GET_VERSION: Final = "GetLocalListVersion"


class ListWords(Protocol):
    """Local lists in one OCPP version."""

    def entry(self, entry: Listed) -> Listed | None:
        """An entry as this version can hold it; ``None`` if it cannot."""
        ...

    def size(self, entry: Listed) -> int:
        """Bytes of an entry on the wire."""
        ...

    def encode_update(self, update: Update) -> Command:
        """SendLocalList."""
        ...

    def status_of(self, answer: Mapping[str, object]) -> UpdateStatus:
        """Read the answer to SendLocalList."""
        ...

    def sent(self, command: Command) -> Update | None:
        """Read a valid SendLocalList; ``None`` for other commands."""
        ...

    def encode_version(self) -> Command:
        """GetLocalListVersion."""
        ...

    def version_of(self, answer: Mapping[str, object]) -> int:
        """Read its answer: 0 for no list yet, below 0 if there can be none."""
        ...

    def encode_room(self) -> Command:
        """Ask what the station takes."""
        ...

    def room_of(self, answer: Mapping[str, object], max_entries: int | None) -> Room:
        """Read the answer; ``max_entries`` is what its device model reported."""
        ...

    def encode_enable(self) -> Command:
        """Have the station use its list."""
        ...


MAX_DIGITS: Final = 9
MAX_VERSION: Final = 2**31 - 1


def update_status(answer: Mapping[str, object]) -> UpdateStatus:
    """The status of an answer to SendLocalList; an unknown word is a failure."""
    try:
        return UpdateStatus(str(answer.get("status")))
    except ValueError:
        return UpdateStatus.FAILED


def whole(value: object) -> int | None:
    """A count above 0 as stations write it, or ``None``."""
    text = str(value)[: MAX_DIGITS + 1].strip()
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return int(text) if is_number and int(text) > 0 else None


def version_number(value: object) -> int | None:
    """A version as stations hold it; 0 for one that no update could follow."""
    if not isinstance(value, int):
        return None
    return value if value < MAX_VERSION else 0


def items_of(answer: Mapping[str, object], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list in an answer, which may be anything."""
    told = answer.get(name)
    items = told if isinstance(told, list) else []
    return [item for item in items if isinstance(item, Mapping)]


def flag(value: object) -> bool | None:
    """A boolean as stations write it, or ``None``."""
    return {"true": True, "false": False}.get(str(value).strip().casefold())
