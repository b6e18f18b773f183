"""All that a station's page can show, made up around a station of `pages_site`."""

from datetime import datetime, timedelta
from typing import Any

DEVIATION = {
    "kind": "timestamp_unusable",
    "action": "StatusNotification",
    "path": "timestamp",
    "messages": 1207,
    "detail": "222222017-01-01T00:00:00Z",
    "offset": 4711,
}


def full_station(station: dict[str, Any], now: datetime) -> dict[str, Any]:
    """A station's view with members for every part of its page."""

    def at(minutes: float) -> str:
        return (now + timedelta(minutes=minutes)).isoformat()

    def command(state: str, **members: Any) -> dict[str, Any]:
        known = {
            "command_id": "c1",
            "station_id": station["station_id"],
            "action": "RemoteStartTransaction",
            "payload": {},
            "state": state,
            "reason": None,
            "detail": None,
            "late": False,
            "created_at": at(-4),
            "deadline_at": None,
        }
        return known | members

    steps = [{"offset_s": 0, "limit_a": 16.0}, {"offset_s": 900, "limit_a": 0.0}]
    connection = {
        "remote": "127.0.0.1",
        "opened_at": at(-300),
        "contested_by": ["10.0.0.7", "10.0.0.9"],
        "profile": 3,
        "tls_version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "port": 9443,
        "client_certificate": {
            "subject": station["station_id"],
            "organization": "Voltwerk",
            "serial": "1F" * 20,
            "not_after": at(20 * 24 * 60),
        },
    }
    return station | {
        "now": now.isoformat(),
        "source": "config",
        "serial": "SN-0001",
        "registration": "Accepted",
        "security_profile": 2,
        "connection": connection if station["online"] else None,
        "managed": True,
        "path": [station["cabinet_id"], "main"],
        "definition": {"clock_skew_s": 60},
        "alarms": [
            {"component": "Connector", "variable": "Temperature", "value": "94"}
        ],
        "unbelieved_evses": [60_000],
        "clock_offset_s": 1203.4,
        "deviations": [
            DEVIATION | {"first_seen_at": at(-90), "last_seen_at": at(-1)},
            DEVIATION
            | {
                "kind": "made_up_kind",
                "path": "meterValue[0].sampledValue[12].unitOfMeasure.multiplier",
                "first_seen_at": at(-90),
                "last_seen_at": at(-3000),
                "detail": "<script>1</script>",
            },
        ],
        "refused": [
            {
                "received_at": at(-2),
                "action": "MeterValues",
                "error": "TypeConstraintViolation",
                "description": "connectorId: 'no' is not of type integer",
            }
        ],
        "orphans": [
            {
                "occurred_at": at(-400),
                "kind": "ended",
                "transaction_id": "9007199254740993",
                "register_milliwh": 123_456_789_000,
                "reason": "unknown_transaction",
            },
            {
                "occurred_at": at(-500),
                "kind": "updated",
                "transaction_id": None,
                "register_milliwh": None,
                "reason": "ambiguous_place",
            },
        ],
        "evses": [
            evse
            | {
                "limit_a": 8.0,
                "why": "cabinet main full 17:00 to 18:30",
                "binding": {
                    "cabinet_id": "main",
                    "phase": "L1",
                    "begin": at(-3),
                    "micro_per_kwh": 5_312_000,
                    "words": "Cabinet main is full on L1",
                },
            }
            for evse in station["evses"]
        ],
        "test_plan": {
            "due_at": at(600),
            "window": (60, 300),
            "every_days": 90,
            "restart": True,
            "outage_s": 120.0,
        },
        "tests": [
            {
                "started_at": at(-50),
                "cause": "firmware",
                "firmware": "2.1.0-rc4+build20260114",
                "is_proven": False,
                "trouble": None,
                "steps": [
                    {
                        "step": "default",
                        "passed": True,
                        "detail": "EVSE 1: 6 A",
                    },
                    {
                        "step": "step",
                        "passed": False,
                        "detail": "6 A set, not seen",
                    },
                    {
                        "step": "drop",
                        "passed": None,
                        "detail": "back; no idle EVSE reports a schedule",
                    },
                ],
            },
            {
                "started_at": at(-5000),
                "cause": "schedule",
                "firmware": None,
                "is_proven": None,
                "trouble": "CP-01 is not connected",
                "steps": [],
            },
            {
                "started_at": at(-90_000),
                "cause": "asked",
                "firmware": "2.0.9",
                "is_proven": True,
                "trouble": None,
                "steps": [{"step": "default", "passed": True, "detail": "EVSE 1: 6 A"}],
            },
        ],
        "commands": [
            command("queued", deadline_at=at(30)),
            command("no_effect", reason="no_effect"),
            command("failed", reason="refused", detail="Rejected", late=True),
            command("effected", action="UnlockConnector"),
        ],
        "limits": [
            command(
                "effected",
                payload={"evse_id": 1, "steps": steps},
                action="limit",
            )
        ],
        "reservations": [
            {
                "reservation_id": 12,
                "evse_id": 0,
                "id_token": "DEADBEEF0123456789",
                "expires_at": at(25),
                "status": "Reserved",
            }
        ],
        "local_list": {
            "version": 7,
            "state": "failed",
            "detail": "the station answered VersionMismatch",
            "left_out": 3,
            "changed_at": at(-600),
        },
        "capability": {
            "controlled": True,
            "way": "evse_default",
            "units": ["A", "W"],
            "kind": "relative",
            "max_periods": 3,
            "at_zero": "refused",
            "refused": ["absolute", "ampere", "many_periods", "session", "zero"],
        },
        "meter_keys": [
            {
                "evse_id": 1,
                "curve": "secp256r1",
                "fingerprint": "0f1e2d3c4b5a6978",
                "meter_serial": "1ABC0012345678",
                "state": "pinned",
                "at": at(-9000),
            },
            {
                "evse_id": 1,
                "curve": "brainpool384r1",
                "fingerprint": "ffeeddccbbaa9988",
                "meter_serial": None,
                "state": "changed",
                "at": at(-30),
            },
        ],
        "certificates": [
            {
                "type": "ChargingStationCertificate",
                "source": "issued",
                "serial": "4E1F00AA4E1F00AA4E1F00AA4E1F00AA4E1F00AA",
                "status": "installed",
                "not_after": at(20 * 24 * 60),
                "at": at(-5000),
            },
            {
                "type": "CSMSRootCertificate",
                "source": "station",
                "serial": "00AA",
                "status": "installed",
                "not_after": None,
                "at": at(-5000),
            },
        ],
    }


def bare_station(station: dict[str, Any], now: datetime) -> dict[str, Any]:
    """A station that was registered just now and never came."""
    none: dict[str, Any] = dict.fromkeys(
        ("vendor", "model", "serial", "firmware", "ocpp_version", "last_seen_at")
    )
    empty: dict[str, Any] = {
        key: []
        for key in (
            *("evses", "deviations", "refused", "commands", "limits", "alarms"),
            *("reservations", "certificates", "meter_keys", "path", "unbelieved_evses"),
            "tests",
        )
    }
    return (
        full_station(station, now)
        | none
        | empty
        | {
            "online": False,
            "connection": None,
            "registration": "Pending",
            "clock_offset_s": None,
            "local_list": None,
            "definition": None,
            "test_plan": None,
        }
    )
