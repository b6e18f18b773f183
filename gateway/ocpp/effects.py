"""What both dialects share about answers and effects: words, secrets, schedules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from gateway.domain.effects import AtOnce, Expectation, HoldsLimit, ReportsStatus
from gateway.ocpp.device_words import PERSONAL
from gateway.ocpp.outbound import CLEAR, NOTHING_TO_CLEAR, asked_time

REDACTED: Final = "***"
SCHEDULED: Final = "Scheduled"
REBOOT: Final = "RebootRequired"
GOOD_WORDS: Final = frozenset(
    {
        "Accepted",
        "AcceptedCanceled",
        "EmptyResultSet",
        "NoProfiles",
        REBOOT,
        "Scheduled",
        "Unlocked",
        "Unpublished",
    }
)
"""Statuses with which a station does what it was asked, in either version."""
LOG_WRONG: Final = (
    "AcceptedCanceled",
    "BadMessage",
    "NotSupportedOperation",
    "PermissionDenied",
    "UploadFailure",
)
FIRMWARE_WRONG: Final = (
    "DownloadFailed",
    "InstallationFailed",
    "InstallVerificationFailed",
    "InvalidCertificate",
    "InvalidSignature",
    "RevokedCertificate",
)
_SECRET_NAMES: Final = ("authorizationkey", "passphrase", "password", "secret")
"""Settings whose names hold one of these are not shown, vendors' own included."""
UPLOADS: Final = "/uploads/"
"""What follows is a one-time address of ours: who knows it may upload."""
_SECRET_MEMBERS: Final = frozenset({"apnPassword", "password", "simPin"})
_CUSTOMER_MEMBERS: Final = frozenset({"clear", "report", "requestId"})
"""Members of CustomerInformation: whom it is about is told to the station alone."""
_URL_MEMBERS: Final = frozenset({"location", "remoteLocation"})
_RESULT_LISTS: Final = {"setVariableResult": "attributeStatus"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRead:
    """What an answer means.

    Attributes:
        is_accepted: The station does it, now or later.
        is_scheduled: Later.
        is_done: There is nothing left to be seen.
        word: The station's own, where it says more than plain acceptance.
    """

    is_accepted: bool
    is_scheduled: bool = False
    is_done: bool = False
    word: str = ""


def read_answer(action: str, answer: Mapping[str, object]) -> AnswerRead:
    """Read a result; one without a status (values, versions) is an acceptance."""
    if action == "GetDiagnostics" and not answer.get("fileName"):
        return AnswerRead(is_accepted=True, is_done=True, word="nothing to upload")
    words = _words(answer)
    for word in words:
        if not _is_good(action, word):
            return AnswerRead(is_accepted=False, word=word)
    said = next((word for word in words if word != "Accepted"), "")
    return AnswerRead(is_accepted=True, is_scheduled=said == SCHEDULED, word=said)


def needs_restart(answer: Mapping[str, object]) -> bool:
    """Whether a station says that what it took counts after its next restart only."""
    return REBOOT in _words(answer)


def redacted(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """A payload without secrets: of stations, of networks, in addresses."""
    if isinstance(value, list):
        return [redacted(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    is_secret = any(word in _setting(value) for word in _SECRET_NAMES)
    hides = _SECRET_VALUES if is_secret else frozenset()
    if value.keys() >= _CUSTOMER_MEMBERS:
        hides |= PERSONAL
    kept: dict[str, Any] = {}
    for name, member in value.items():
        if name in hides or name in _SECRET_MEMBERS:
            kept[name] = REDACTED
        elif name in _URL_MEMBERS and isinstance(member, str):
            kept[name] = public_address(member)
        elif name == "vpn" and isinstance(member, Mapping):
            kept[name] = redacted(member) | {"key": REDACTED}
        else:
            kept[name] = redacted(member)
    return kept


def carries_secret(payload: Mapping[str, object]) -> bool:
    """Whether a CALL holds something that is never shown, addresses aside."""
    return _n_hidden(redacted(payload)) > _n_hidden(payload)


def _n_hidden(value: object) -> int:
    if isinstance(value, Mapping):
        members = [one for name, one in value.items() if name not in _URL_MEMBERS]
        return sum(map(_n_hidden, members))
    if isinstance(value, list):
        return sum(map(_n_hidden, value))
    return int(value == REDACTED)


def holds_limit(evse_id: object, schedule: object, now: datetime) -> Expectation:
    """The limit that a charging schedule puts in force now, if that can be told."""
    if isinstance(schedule, list):
        schedule = schedule[0]
    if not isinstance(schedule, Mapping) or not isinstance(evse_id, int):
        return AtOnce()
    periods = schedule.get("chargingSchedulePeriod")
    if not isinstance(periods, list):
        return AtOnce()
    start = schedule.get("startSchedule")
    try:
        offset_s = 0.0 if start is None else (now - asked_time(start)).total_seconds()
    except ValueError:
        return AtOnce()
    begun = [one for one in periods if one["startPeriod"] <= offset_s]
    duration_s = schedule.get("duration")
    is_over = isinstance(duration_s, int) and offset_s > duration_s
    if not begun or is_over:
        return AtOnce()
    return HoldsLimit(
        evse_id=evse_id,
        limit=float(begun[-1]["limit"]),
        is_power=schedule.get("chargingRateUnit") == "W",
    )


def reports(
    topic: str,
    request_id: object,
    done: tuple[str, ...],
    wrong: tuple[str, ...],
) -> ReportsStatus:
    """A job that tells how it goes."""
    return ReportsStatus(
        topic=topic,
        request_id=request_id if isinstance(request_id, int) else None,
        done=done,
        wrong=wrong,
    )


def replace_key(
    action: str, payload: Mapping[str, object]
) -> tuple[object, ...] | None:
    """What a waiting command would overwrite; of equal keys the newest counts.

    ``None``: it overwrites nothing (a DataTransfer, a trigger).
    """
    match action:
        case "SetChargingProfile":
            profile = payload.get("csChargingProfiles", payload.get("chargingProfile"))
            if not isinstance(profile, Mapping):
                return None
            return (
                action,
                payload.get("connectorId", payload.get("evseId")),
                profile.get("chargingProfilePurpose"),
                profile.get("stackLevel"),
            )
        case "ChangeConfiguration":
            return (action, str(payload.get("key")).casefold())
        case "ChangeAvailability":
            return (action, str(payload.get("connectorId", payload.get("evse"))))
        case "SendLocalList" if payload.get("updateType") == "Full":
            return (action,)
        case _:
            return None


_SECRET_VALUES: Final = frozenset({"value", "attributeValue"})


def _setting(item: Mapping[str, Any]) -> str:
    """Which key or variable an item is about, for comparison."""
    variable = item.get("variable")
    name = variable.get("name") if isinstance(variable, Mapping) else item.get("key")
    return name.casefold() if isinstance(name, str) else ""


def public_address(url: str) -> str:
    """An address without user, signature and one-time secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return REDACTED
    if "@" in parts.netloc:
        host = parts.netloc.rpartition("@")[2]
        parts = parts._replace(netloc=f"{REDACTED}@{host}")
    if parts.query:
        parts = parts._replace(query=REDACTED)
    before, mark, secret = parts.path.partition(UPLOADS)
    if secret:
        parts = parts._replace(path=f"{before}{mark}{REDACTED}")
    return urlunsplit(parts)


def _words(answer: Mapping[str, object]) -> list[str]:
    if isinstance(status := answer.get("status"), str):
        return [status]
    for name, member in _RESULT_LISTS.items():
        results = answer.get(name)
        if isinstance(results, list):
            return [str(one.get(member)) for one in results if isinstance(one, Mapping)]
    return []


def _is_good(action: str, word: str) -> bool:
    if action == CLEAR and word == NOTHING_TO_CLEAR:
        return True
    if action == "GetInstalledCertificateIds" and word == "NotFound":
        return True
    return word in GOOD_WORDS


def number_of(payload: Mapping[str, object], name: str) -> int | None:
    """A member that is a whole number; ``None`` where it is left out."""
    value = payload.get(name)
    return value if isinstance(value, int) else None
