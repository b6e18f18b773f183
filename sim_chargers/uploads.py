"""How a station hands over its log files (2.0.1: N01; 1.6: 5.9 and the whitepaper)."""

from __future__ import annotations  # the station and its stories know each other

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sim_chargers import transfer
from sim_chargers.clock import to_wire
from sim_chargers.twists import Twist

if TYPE_CHECKING:
    from datetime import datetime

    from sim_chargers.charger import Charger

UPLOAD_S: Final = 5.0  # site seconds
SECURITY_EVENTS: Final = frozenset({"SecurityEventNotification"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What the central system asked for.

    Attributes:
        action: The message that reports the states.
        name: How the file is called.
        failed: Its word for a file that did not arrive.
        is_security: The security log is wanted, not the diagnostics log.
    """

    action: str
    failed: str
    location: str
    name: str
    is_security: bool
    oldest: datetime | None = None
    latest: datetime | None = None
    retries: int = 0
    retry_interval_s: float = 0.0
    request_id: int | None = None
    says_cancelled: bool = False


@dataclass(slots=True)
class Uploads:
    """The upload that a station is busy with."""

    status: str = "Idle"
    errand: Errand | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an upload is under way."""
        return self.task is not None and not self.task.done()


def take(station: Charger, errand: Errand) -> bool:
    """Begin an upload; whether another one was cancelled for it (N01.FR.12)."""
    state = station.uploads
    was_busy = state.is_busy
    if state.task is not None:
        state.task.cancel()
    replaced = state.errand if was_busy else None
    state.errand = errand
    state.task = station.spawn(_upload(station, errand, replaced))
    return was_busy


def file_name(station: Charger, *, is_security: bool) -> str:
    """Name the file that is going to be written."""
    kind = "security" if is_security else "diagnostics"
    return f"{station.spec.id}-{kind}-{station.journal.n_noted}.log"


def write_log(station: Charger, errand: Errand) -> bytes:
    """Write the asked span of the journal, one JSON object a line, oldest first."""
    lines = [
        json.dumps(
            {
                "at": to_wire(exchange.at),
                "from": "station" if exchange.is_ours else "central system",
                "action": exchange.action,
                "payload": exchange.payload,
                "answer": exchange.answer,
                "error": exchange.error,
            }
        )
        for _, exchange in station.journal.since(0)
        if (not errand.is_security or exchange.action in SECURITY_EVENTS)
        and (errand.oldest is None or exchange.at >= errand.oldest)
        and (errand.latest is None or exchange.at <= errand.latest)
    ]
    return "".join(f"{line}\n" for line in lines).encode()


async def report(station: Charger, errand: Errand, status: str) -> None:
    """Tell the central system a state."""
    station.uploads.status = status
    payload: dict[str, object] = {"status": status}
    if errand.request_id is not None:
        payload["requestId"] = errand.request_id
    await station.ask(errand.action, payload)


async def _upload(station: Charger, errand: Errand, replaced: Errand | None) -> None:
    if replaced is not None and replaced.says_cancelled:
        await report(station, replaced, "AcceptedCanceled")
    await report(station, errand, "Uploading")
    left = errand.retries
    while True:
        await station.transfer_for(UPLOAD_S)
        try:
            if Twist.UPLOAD_DENIED in station.twists:
                denied = errand.failed
                is_known = errand.request_id is not None
                await report(
                    station, errand, "PermissionDenied" if is_known else denied
                )
                return
            body = write_log(station, errand)
            is_lost = Twist.UPLOAD_FAILS in station.twists
            await transfer.upload(errand.location, errand.name, body, is_lost=is_lost)
            break
        except transfer.TransferError as error:
            _log.info("%s: upload: %s", station.spec.id, error)
            if left == 0:
                await report(station, errand, errand.failed)
                return
        left -= 1
        await station.clock.sleep(errand.retry_interval_s)
    await report(station, errand, "Uploaded")
    station.around.events.emit(
        "log_uploaded", station=station.spec.id, name=errand.name
    )
