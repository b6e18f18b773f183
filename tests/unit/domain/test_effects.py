"""Which facts show the effect of which command."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.domain import effects
from gateway.domain.command import EffectFailed, EffectSeen
from gateway.domain.effects import (
    AtOnce,
    Boots,
    EndsSession,
    Expectation,
    HoldsLimit,
    OverLimit,
    ReportsStatus,
    SendsMessage,
    ShowsAvailability,
    StartsSession,
    sighting,
)
from gateway.domain.events import (
    CURRENT,
    POWER,
    Availability,
    EvseStatusChanged,
    Reading,
    SessionEnded,
    SessionStarted,
    SessionUpdated,
    StationBooted,
    StationNotified,
)
from gateway.domain.ids import EvseRef, IdToken, SessionId, StationId
from gateway.domain.session import apply, empty

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CP = StationId("CP1")
TIMES: dict[str, Any] = {"occurred_at": NOW, "received_at": NOW}


def evse(number: int = 1) -> EvseRef:
    return EvseRef(station_id=CP, evse_id=number)


def started(**members: Any) -> SessionStarted:
    known: dict[str, Any] = {
        "evse": evse(),
        "transaction_id": "7",
        "id_token": IdToken(value="Tag"),
        "register_milliwh": 0,
    }
    return SessionStarted(**(TIMES | known | members))


def status(number: int, availability: Availability) -> EvseStatusChanged:
    return EvseStatusChanged(evse=evse(number), availability=availability, **TIMES)


def notified(topic: str, **body: Any) -> StationNotified:
    return StationNotified(station_id=CP, topic=topic, body=body, **TIMES)


def sampled(measurand: str, *values: str) -> SessionUpdated:
    phases = ["L1", "L2", "L3"] if len(values) == 3 else [None]
    return SessionUpdated(
        station_id=CP,
        evse=evse(),
        transaction_id="7",
        readings=tuple(
            Reading(
                sampled_at=NOW, measurand=measurand, value=Decimal(value), phase=phase
            )
            for phase, value in zip(phases, values, strict=True)
        ),
        **TIMES,
    )


UPLOAD = ReportsStatus(
    topic="LogStatusNotification",
    request_id=5,
    done=("Uploaded",),
    wrong=("UploadFailure",),
)
ENDED = SessionEnded(
    station_id=CP,
    evse=None,
    transaction_id="7",
    register_milliwh=1,
    stop_reason="Remote",
    **TIMES,
)
BOOT = StationBooted(station_id=CP, vendor="V", model="M", **TIMES)
START_2 = StartsSession(evse_id=1, token_key="tag", remote_start_id=44)


@pytest.mark.parametrize(
    ("expected", "event", "is_seen"),
    [
        (StartsSession(evse_id=1, token_key="tag"), started(), True),
        (StartsSession(evse_id=None, token_key="tag"), started(), True),
        (StartsSession(evse_id=2, token_key="tag"), started(), False),
        (StartsSession(evse_id=1, token_key="other"), started(), False),
        (START_2, started(remote_start_id=44, id_token=None), True),
        (START_2, started(remote_start_id=45), False),
        (START_2, started(), True),  # a station that never tells the id
        (EndsSession(transaction_id="7"), ENDED, True),
        (EndsSession(transaction_id="8"), ENDED, False),
        (EndsSession(transaction_id="7"), started(), False),
        (Boots(), BOOT, True),
        (Boots(), started(), False),
        (AtOnce(), BOOT, False),
        (
            ShowsAvailability(evse_id=1, is_operative=False),
            status(1, Availability.UNAVAILABLE),
            True,
        ),
        (
            ShowsAvailability(evse_id=1, is_operative=False),
            status(2, Availability.UNAVAILABLE),
            False,
        ),
        (
            ShowsAvailability(evse_id=1, is_operative=True),
            status(1, Availability.FAULTED),
            False,
        ),
        (
            ShowsAvailability(evse_id=1, is_operative=True),
            status(1, Availability.OCCUPIED),
            True,
        ),
        (SendsMessage(message="BootNotification"), BOOT, True),
        (
            SendsMessage(message="StatusNotification", evse_id=2),
            status(1, Availability.AVAILABLE),
            False,
        ),
        (SendsMessage(message="MeterValues", evse_id=1), sampled(POWER, "1"), True),
        (SendsMessage(message="MeterValues"), BOOT, False),
        (
            SendsMessage(message="SignCertificate"),
            notified("SignCertificate", csr="x"),
            True,
        ),
        (UPLOAD, notified("LogStatusNotification", status="Uploading"), False),
        (
            UPLOAD,
            notified("LogStatusNotification", status="Uploaded", requestId=6),
            False,
        ),
        (
            UPLOAD,
            notified("LogStatusNotification", status="Uploaded", requestId=5),
            True,
        ),
    ],
)
def test_a_fact_shows_an_effect_or_says_nothing_about_it(
    expected: Expectation, event: Any, is_seen: bool
) -> None:
    found = sighting(expected, event, None)
    assert isinstance(found, EffectSeen) is is_seen
    if not is_seen:
        assert found is None


def test_a_session_that_was_there_already_is_taken_over_by_a_remote_start() -> None:
    update = replace(
        sampled(POWER, "1"), trigger="RemoteStart", id_token=IdToken(value="TAG")
    )
    session = apply(empty(SessionId("s1"), CP, "7"), started())
    assert isinstance(sighting(START_2, update, session), EffectSeen)
    assert sighting(START_2, replace(update, trigger="Deauthorized"), session) is None


def test_a_job_that_went_wrong_says_so_in_its_own_word() -> None:
    event = notified("LogStatusNotification", status="UploadFailure", requestId=5)
    assert sighting(UPLOAD, event, None) == EffectFailed(at=NOW, detail="UploadFailure")


@pytest.mark.parametrize(
    ("expected", "event", "kind"),
    [
        (HoldsLimit(evse_id=1, limit=10, is_power=False), ("9.9", "10.4", "0"), "seen"),
        (HoldsLimit(evse_id=1, limit=10, is_power=False), ("9.9", "10.6", "0"), "over"),
        (HoldsLimit(evse_id=2, limit=10, is_power=False), ("1", "1", "1"), "none"),
        (HoldsLimit(evse_id=0, limit=10, is_power=False), ("1", "1", "1"), "seen"),
        (HoldsLimit(evse_id=1, limit=10, is_power=True), ("1", "1", "1"), "none"),
    ],
)
def test_a_meter_shows_whether_a_limit_is_held(
    expected: HoldsLimit, event: tuple[str, ...], kind: str
) -> None:
    update = sampled(CURRENT, *event)
    session = empty(SessionId("s1"), CP, "7")
    for fact in (started(), update):
        session = apply(session, fact)
    found = sighting(expected, update, session)
    kinds = {"seen": EffectSeen, "over": OverLimit, "none": type(None)}
    assert type(found) is kinds[kind]


def test_a_limit_of_power_is_compared_with_power() -> None:
    update = sampled(POWER, "4000")
    session = apply(empty(SessionId("s1"), CP, "7"), update)
    session = replace(session, evse_id=1)
    high = HoldsLimit(evse_id=1, limit=4000, is_power=True)
    low = HoldsLimit(evse_id=1, limit=3500, is_power=True)
    assert isinstance(sighting(high, update, session), EffectSeen)
    assert isinstance(sighting(low, update, session), OverLimit)


@pytest.mark.parametrize(
    "expected",
    [
        AtOnce(),
        START_2,
        EndsSession(transaction_id="7"),
        HoldsLimit(evse_id=1, limit=6.5, is_power=False),
        Boots(),
        ShowsAvailability(evse_id=0, is_operative=True),
        SendsMessage(message="Heartbeat"),
        UPLOAD,
    ],
)
def test_an_expectation_survives_the_store(expected: Expectation) -> None:
    assert effects.from_json(effects.to_json(expected)) == expected
    assert isinstance(expected, AtOnce) is (effects.within(expected) is None)
    assert effects.within(expected) != timedelta(0)
