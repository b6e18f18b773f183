"""Local lists, tokens, reservations and availability, in both versions."""

from datetime import timedelta

import pytest

from sim_chargers.charger import Charger
from sim_chargers.tokens import TokenEntry
from sim_chargers.twists import Twist
from tests.unit.sim.desk import Payload, ask, said, station, status, v16, v201

VERSIONS = ["1.6", "2.0.1"]
LATER = "2099-01-01T00:00:00Z"
EARLIER = "2020-01-01T00:00:00Z"


def rows(version: str, *tokens: str, verdict: str = "Accepted") -> list[Payload]:
    if version == "1.6":
        return [{"idTag": t, "idTagInfo": {"status": verdict}} for t in tokens]
    return [
        {
            "idToken": {"idToken": t, "type": "ISO14443"},
            "idTokenInfo": {"status": verdict},
        }
        for t in tokens
    ]


def send(cp: Charger, version: str, number: int, kind: str, *tokens: str) -> str:
    name = "listVersion" if version == "1.6" else "versionNumber"
    listed = {"localAuthorizationList": rows(version, *tokens)}
    return status(cp, "SendLocalList", **{name: number, "updateType": kind, **listed})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_list_replaces_and_a_differential_one_adds(version: str) -> None:
    cp = station(version)
    assert send(cp, version, 2, "Full", "A", "B") == "Accepted"
    assert send(cp, version, 3, "Differential", "C") == "Accepted"
    assert set(cp.tokens.listed) == {"a", "b", "c"}
    assert send(cp, version, 1, "Full", "D") == "Accepted"
    assert set(cp.tokens.listed) == {"d"}
    assert 1 in ask(cp, "GetLocalListVersion").values()


@pytest.mark.parametrize("version", VERSIONS)
def test_changes_for_an_older_list_are_a_mismatch_and_change_nothing(
    version: str,
) -> None:
    cp = station(version)
    send(cp, version, 5, "Full", "A")
    assert send(cp, version, 5, "Differential", "B") == "VersionMismatch"
    assert set(cp.tokens.listed) == {"a"}
    assert cp.tokens.version == 5


@pytest.mark.parametrize("version", VERSIONS)
def test_a_list_with_a_double_entry_changes_nothing(version: str) -> None:
    cp = station(version)
    send(cp, version, 5, "Full", "A")
    assert send(cp, version, 6, "Full", "B", "b") == "Failed"
    assert set(cp.tokens.listed) == {"a"}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_listed_token_without_a_verdict_is_removed(version: str) -> None:
    cp = station(version)
    send(cp, version, 5, "Full", "A", "B")
    (row,) = rows(version, "A")
    row.pop("idTagInfo", None)
    row.pop("idTokenInfo", None)
    name = "listVersion" if version == "1.6" else "versionNumber"
    change = {name: 6, "updateType": "Differential", "localAuthorizationList": [row]}
    assert status(cp, "SendLocalList", **change) == "Accepted"
    assert set(cp.tokens.listed) == {"b"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_offline_the_list_counts_before_the_cache_until_it_expires(
    version: str,
) -> None:
    cp = station(version)
    cp.tokens.cache["card"] = TokenEntry()
    assert await cp.is_authorised("CARD")
    cp.tokens.listed["card"] = TokenEntry(status="Blocked")
    assert not await cp.is_authorised("CARD")
    past = cp.now() - timedelta(seconds=1)
    cp.tokens.listed["card"] = TokenEntry(until=past)
    assert (await cp.verdict("CARD")).status == "Expired"


async def test_without_local_authorisation_nobody_charges_offline() -> None:
    cp = v16()
    cp.tokens.listed["card"] = TokenEntry()
    cp.keys["LocalAuthorizeOffline"] = "false"
    assert not await cp.is_authorised("CARD")
    cp.keys["LocalAuthorizeOffline"] = "true"
    cp.keys["LocalAuthListEnabled"] = "false"
    assert not await cp.is_authorised("CARD")
    assert ask(cp, "GetLocalListVersion") == {"listVersion": -1}


def reserve(cp: Charger, version: str, number: int = 4, until: str = LATER) -> str:
    if version == "1.6":
        wanted: Payload = {
            "connectorId": 1,
            "expiryDate": until,
            "idTag": "ME",
            "reservationId": number,
        }
    else:
        token = {"idToken": "ME", "type": "ISO14443"}
        wanted = {"id": number, "expiryDateTime": until, "idToken": token}
        wanted["evseId"] = 1
    return status(cp, "ReserveNow", **wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reservation_is_refused_for_the_reason_there_is(version: str) -> None:
    cp = station(version)
    assert reserve(cp, version, until=EARLIER) == "Rejected"
    connector = cp.connectors[1]
    connector.fault = "GroundFailure"
    assert reserve(cp, version) == "Faulted"
    connector.fault = None
    connector.operative = False
    assert reserve(cp, version) == "Unavailable"
    connector.operative = True
    assert reserve(cp, version) == "Accepted"
    assert reserve(cp, version) == "Accepted"  # the same one again: replaced
    assert reserve(cp, version, number=5) == "Occupied"
    assert status(cp, "CancelReservation", reservationId=4) == "Accepted"
    assert status(cp, "CancelReservation", reservationId=4) == "Rejected"


def test_a_reservation_that_cannot_be_kept_is_reported_as_removed() -> None:
    cp = v201()
    reserve(cp, "2.0.1")
    change = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    assert status(cp, "ChangeAvailability", **change) == "Accepted"
    assert said(cp, "ReservationStatusUpdate") == [
        {"reservationId": 4, "reservationUpdateStatus": "Removed"}
    ]


def test_an_unlock_that_fails_says_so() -> None:
    old, new = v16(), v201()
    assert status(old, "UnlockConnector", connectorId=1) == "Unlocked"
    assert status(old, "UnlockConnector", connectorId=9) == "NotSupported"
    assert status(new, "UnlockConnector", evseId=1, connectorId=1) == "Unlocked"
    unknown = status(new, "UnlockConnector", evseId=1, connectorId=2)
    assert unknown == "UnknownConnector"
    for cp in (old, new):
        cp.twists.add(Twist.UNLOCK_FAILS)
    assert status(old, "UnlockConnector", connectorId=1) == "UnlockFailed"
    assert status(new, "UnlockConnector", evseId=1, connectorId=1) == "UnlockFailed"
