"""Files on their way to or from a station: firmware, logs, diagnostics.

Stations tell how far they are in words; only the last ones say that it is over.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class TransferKind(StrEnum):
    """What is transferred."""

    FIRMWARE = "firmware"
    LOG = "log"
    DIAGNOSTICS = "diagnostics"


class TransferState(StrEnum):
    """How far it is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareWanted:
    """An update that an operator asks for.

    Attributes:
        location: Where the station fetches it.
        retrieve_at: Not before.
        install_at: Not before; ``None``: as soon as it is there.
        signing_certificate: PEM of who signed it; with a signature.
        signature: Of the file, base64.
    """

    location: str
    retrieve_at: datetime
    install_at: datetime | None = None
    signing_certificate: str | None = None
    signature: str | None = None
    retries: int | None = None
    retry_interval_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWanted:
    """A log that an operator asks for.

    Attributes:
        is_security: The security log instead of diagnostics.
        location: Where the station puts it.
        oldest_at: Leave out what is older.
        latest_at: Leave out what is newer.
    """

    is_security: bool
    location: str
    oldest_at: datetime | None = None
    latest_at: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAsked:
    """What a call of ours asked a station to transfer.

    Attributes:
        request_id: Named again by its notices; 1.6 without security extensions has
            none.
    """

    kind: TransferKind
    location: str
    request_id: int | None


NO_NEWS: Final = frozenset({"Idle"})
"""Said by a station that is asked and transfers nothing."""
_DONE: Final = frozenset({"Installed", "Uploaded"})
_CANCELLED: Final = frozenset({"AcceptedCanceled"})
_RUNNING: Final = frozenset(
    {
        "DownloadPaused",
        "DownloadScheduled",
        "Downloaded",
        "Downloading",
        "InstallRebooting",
        "InstallScheduled",
        "Installing",
        "SignatureVerified",
        "Uploading",
    }
)


def state_of(word: str) -> TransferState | None:
    """What a station's word says; ``None``: nothing.

    Every word that is none of success, progress and cancelling is a failure
    (2.0.1, FirmwareStatusEnumType, UploadLogStatusEnumType; 1.6, 7.25 and whitepaper).
    """
    if word in NO_NEWS:
        return None
    if word in _DONE:
        return TransferState.DONE
    if word in _CANCELLED:
        return TransferState.CANCELLED
    return TransferState.RUNNING if word in _RUNNING else TransferState.FAILED
