"""How a station gets new firmware: download, proof, installation, restart.

One story for both versions (2.0.1: L01, L02; 1.6: 5.19 and the security whitepaper);
a message that does not know a state simply does not report it.
"""

from __future__ import annotations  # the station and its stories know each other

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sim_chargers import transfer
from sim_chargers.certificates import BadCertificateError, verify_signature
from sim_chargers.connector import Reason
from sim_chargers.twists import Twist

if TYPE_CHECKING:
    from datetime import datetime

    from sim_chargers.charger import Charger

DOWNLOAD_S: Final = 5.0  # site seconds
INSTALL_S: Final = 10.0
LOOK_S: Final = 5.0  # site seconds between looks for the end of the last transaction
PLAIN_STATES: Final = frozenset(
    {
        "Downloaded",
        "DownloadFailed",
        "Downloading",
        "Idle",
        "InstallationFailed",
        "Installing",
        "Installed",
    }
)
"""What FirmwareStatusNotification of OCPP 1.6 can say (7.25)."""

_VERSION: Final = re.compile(r"\d+(?:\.\d+)+")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the central system asked for; instants are the station's.

    Attributes:
        action: The message that reports the states.
        request_id: Repeated in every report; None in plain OCPP 1.6.
    """

    action: str
    location: str
    retrieve_at: datetime
    install_at: datetime | None = None
    retries: int = 0
    retry_interval_s: float = 0.0
    request_id: int | None = None
    signature: str | None = None
    certificate: str | None = None


@dataclass(slots=True, kw_only=True)
class Firmware:
    """The firmware of a station, and the update it is busy with."""

    version: str
    status: str = "Idle"
    order: Order | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether an update is under way."""
        return self.task is not None and not self.task.done()


def take(station: Charger, order: Order) -> bool:
    """Begin an update; whether another one was cancelled for it (L01.FR.24)."""
    state = station.firmware
    was_busy = state.is_busy
    if state.task is not None:
        state.task.cancel()
    state.order = order
    state.task = station.spawn(_update(station, order))
    return was_busy


async def report(station: Charger, order: Order, status: str) -> None:
    """Tell the central system a state, if the message can express it."""
    station.firmware.status = status
    is_plain = order.request_id is None
    if is_plain and status not in PLAIN_STATES:
        return
    payload: dict[str, object] = {"status": status}
    if order.request_id is not None:
        payload["requestId"] = order.request_id
    await station.ask(order.action, payload)


async def _update(station: Charger, order: Order) -> None:
    if order.retrieve_at > station.now():
        await report(station, order, "DownloadScheduled")
        await station.until(order.retrieve_at)
    try:
        body = await _download(station, order)
    except transfer.TransferError as error:
        _log.info("%s: firmware: %s", station.spec.id, error)
        await report(station, order, "DownloadFailed")
        return
    await report(station, order, "Downloaded")
    if order.signature is not None and not await _is_genuine(station, order, body):
        return
    if order.install_at is not None and order.install_at > station.now():
        await report(station, order, "InstallScheduled")
        await station.until(order.install_at)
    elif station.has_transaction():
        await report(station, order, "InstallScheduled")
    await _install(station, order)


async def _download(station: Charger, order: Order) -> bytes | None:
    """Fetch the file, as often as asked; ``None`` where it is only played."""
    await report(station, order, "Downloading")
    return await transfer.fetch_patiently(
        order.location,
        wait=station.transfer_for,
        takes_s=DOWNLOAD_S,
        retries=order.retries,
        pause_s=order.retry_interval_s,
        is_lost=Twist.DOWNLOAD_FAILS in station.twists,
    )


async def _is_genuine(station: Charger, order: Order, body: bytes | None) -> bool:
    """Check the signature, really where the file is really here (L01.FR.12)."""
    genuine = Twist.BAD_SIGNATURE not in station.twists
    if genuine and body is not None:
        assert order.signature is not None, "nothing to check"
        try:
            genuine = verify_signature(body, order.signature, order.certificate or "")
        except BadCertificateError as error:
            _log.info("%s: signing certificate: %s", station.spec.id, error)
            genuine = False
    if not genuine:
        await report(station, order, "InvalidSignature")
        station.security_event("InvalidFirmwareSignature", order.location)
        return False
    await report(station, order, "SignatureVerified")
    return True


async def _install(station: Charger, order: Order) -> None:
    """Wait for the cars, install, restart, and say so (L01.FR.06 and .07)."""
    idle = [c for c in station.connectors.values() if c.operative]
    for connector in idle:
        connector.operative = connector.transaction is not None
        connector.inoperative_later = connector.transaction is not None
    try:
        while station.has_transaction():
            await station.clock.sleep(LOOK_S)
        await report(station, order, "Installing")
        await station.clock.sleep(INSTALL_S)
        for twist, status in (
            (Twist.VERIFICATION_FAILS, "InstallVerificationFailed"),
            (Twist.INSTALL_FAILS, "InstallationFailed"),
        ):
            if twist in station.twists:
                await report(station, order, status)
                return
        await report(station, order, "InstallRebooting")
        station.firmware.version = _next_version(station.firmware.version, order)
        await station.restart(Reason.RESET, "FirmwareUpdate")
    finally:
        for connector in idle:
            connector.operative = True
            connector.inoperative_later = False
    await report(station, order, "Installed")
    station.security_event("FirmwareUpdated", station.firmware.version)
    station.around.events.emit(
        "firmware_installed",
        station=station.spec.id,
        version=station.firmware.version,
    )


def _next_version(old: str, order: Order) -> str:
    """Read the version from the file's name, else count the last number up."""
    named = _VERSION.search(order.location.rsplit("/", 1)[-1])
    if named is not None:
        return named.group()
    head, _, last = old.rpartition(".")
    return f"{head}.{int(last) + 1}" if last.isdigit() else f"{old}+1"
