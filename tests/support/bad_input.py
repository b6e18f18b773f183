"""The bad-input list as strategies: one per entry, frames and contents.

Frames are whole WebSocket messages; contents are values put where a member of a real
message was. What must become of them is not said here: the tests have an oracle.
"""

import copy
import json
from typing import Any

from hypothesis import strategies as st
from typing_extensions import override

NOON = "2026-06-01T12:00:00Z"
MAX_BYTES = 256 * 1024

MESSAGES: dict[tuple[str, str], dict[str, Any]] = {
    ("1.6", "BootNotification"): {
        "chargePointVendor": "Voltwerk",
        "chargePointModel": "Duo",
        "chargePointSerialNumber": "S1",
        "firmwareVersion": "1.0",
    },
    ("1.6", "StatusNotification"): {
        "connectorId": 1,
        "errorCode": "NoError",
        "info": "all well",
        "status": "Available",
        "timestamp": NOON,
        "vendorId": "Voltwerk",
        "vendorErrorCode": "0",
    },
    ("1.6", "StartTransaction"): {
        "connectorId": 1,
        "idTag": "DRIVER",
        "meterStart": 1000,
        "reservationId": 3,
        "timestamp": NOON,
    },
    ("1.6", "StopTransaction"): {
        "idTag": "DRIVER",
        "meterStop": 2000,
        "timestamp": NOON,
        "transactionId": 7,
        "reason": "Local",
        "transactionData": [
            {
                "timestamp": NOON,
                "sampledValue": [{"value": "2000", "context": "Transaction.End"}],
            }
        ],
    },
    ("1.6", "MeterValues"): {
        "connectorId": 1,
        "transactionId": 7,
        "meterValue": [
            {
                "timestamp": NOON,
                "sampledValue": [
                    {"value": "1500", "unit": "Wh", "location": "Outlet"},
                    {"value": "7.2", "measurand": "Power.Active.Import", "unit": "kW"},
                ],
            }
        ],
    },
    ("2.0.1", "BootNotification"): {
        "reason": "PowerUp",
        "chargingStation": {
            "vendorName": "Voltwerk",
            "model": "Duo",
            "serialNumber": "S1",
            "firmwareVersion": "1.0",
            "modem": {"iccid": "1", "imsi": "2"},
        },
    },
    ("2.0.1", "StatusNotification"): {
        "timestamp": NOON,
        "connectorStatus": "Available",
        "evseId": 1,
        "connectorId": 1,
    },
    ("2.0.1", "TransactionEvent"): {
        "eventType": "Updated",
        "timestamp": NOON,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": 1,
        "offline": False,
        "numberOfPhasesUsed": 3,
        "cableMaxCurrent": 32,
        "transactionInfo": {
            "transactionId": "t-1",
            "chargingState": "Charging",
            "timeSpentCharging": 60,
        },
        "evse": {"id": 1, "connectorId": 1},
        "idToken": {"idToken": "DRIVER", "type": "ISO14443"},
        "meterValue": [
            {
                "timestamp": NOON,
                "sampledValue": [
                    {
                        "value": 1500,
                        "context": "Sample.Periodic",
                        "unitOfMeasure": {"unit": "Wh", "multiplier": 0},
                    }
                ],
            }
        ],
    },
    ("2.0.1", "MeterValues"): {
        "evseId": 1,
        "meterValue": [{"timestamp": NOON, "sampledValue": [{"value": 1.5}]}],
    },
}
"""Messages whose essential members decide alone (`docs/conformance.md`)."""

ESSENTIAL: dict[tuple[str, str], tuple[str, ...]] = {
    ("1.6", "BootNotification"): ("chargePointVendor", "chargePointModel"),
    ("1.6", "StatusNotification"): ("connectorId", "status"),
    ("1.6", "StartTransaction"): ("connectorId", "idTag", "meterStart", "timestamp"),
    ("1.6", "StopTransaction"): ("transactionId", "meterStop", "timestamp"),
    ("1.6", "MeterValues"): ("connectorId", "meterValue"),
    ("2.0.1", "BootNotification"): (
        "chargingStation.vendorName",
        "chargingStation.model",
    ),
    ("2.0.1", "StatusNotification"): ("evseId", "connectorId", "connectorStatus"),
    ("2.0.1", "TransactionEvent"): (
        "eventType",
        "timestamp",
        "transactionInfo.transactionId",
    ),
    ("2.0.1", "MeterValues"): ("evseId", "meterValue"),
}

STRICT: dict[tuple[str, str], dict[str, Any]] = {
    ("1.6", "Authorize"): {"idTag": "DRIVER"},
    ("1.6", "DataTransfer"): {"vendorId": "V", "messageId": "m", "data": "d"},
    ("1.6", "DiagnosticsStatusNotification"): {"status": "Idle"},
    ("1.6", "FirmwareStatusNotification"): {"status": "Installed"},
    ("1.6", "Heartbeat"): {},
    ("1.6", "SecurityEventNotification"): {
        "type": "StartupOfTheDevice",
        "timestamp": NOON,
    },
    ("1.6", "SignCertificate"): {"csr": "-----BEGIN"},
    ("2.0.1", "Authorize"): {"idToken": {"idToken": "DRIVER", "type": "ISO14443"}},
    ("2.0.1", "DataTransfer"): {"vendorId": "V", "data": {"any": ["thing", 1.5]}},
    ("2.0.1", "FirmwareStatusNotification"): {"status": "Installed", "requestId": 1},
    ("2.0.1", "Heartbeat"): {},
    ("2.0.1", "LogStatusNotification"): {"status": "Uploaded", "requestId": 1},
    ("2.0.1", "NotifyEvent"): {
        "generatedAt": NOON,
        "seqNo": 0,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": NOON,
                "trigger": "Alerting",
                "actualValue": "hot",
                "eventNotificationType": "HardWiredNotification",
                "component": {"name": "Connector"},
                "variable": {"name": "Temperature"},
            }
        ],
    },
    ("2.0.1", "NotifyReport"): {
        "requestId": 1,
        "generatedAt": NOON,
        "seqNo": 0,
        "reportData": [
            {
                "component": {"name": "EVSE", "evse": {"id": 1}},
                "variable": {"name": "Power"},
                "variableAttribute": [{"type": "Actual", "value": "11000"}],
            }
        ],
    },
    ("2.0.1", "SecurityEventNotification"): {
        "type": "StartupOfTheDevice",
        "timestamp": NOON,
    },
    ("2.0.1", "ReservationStatusUpdate"): {
        "reservationId": 1,
        "reservationUpdateStatus": "Expired",
    },
}
"""Messages that are read strictly."""

TEXTS = (
    "\x00",
    "A\x00B",
    "\u202egnp.exe",
    "\U0001f50c" * 25,
    "é" * 20,
    "é" * 21,
    "\U0001d54f" * 255,
    "' OR 1=1; DROP TABLE session;--",
    "*)(uid=*))(|(uid=*",
    "%s%n%x{0}{{7*7}}${jndi:ldap://127.0.0.1/a}",
    "<script>alert(1)</script>",
    "\x1b[2J\x1b[31mred",
    "line\r\nlevel=info event=forged",
    "=cmd|' /C calc'!A0",
    "../../etc/passwd",
    "",
    " ",
    "x" * 20_000,
)
TIMES = (
    "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "222222017-01-01T00:00:00Z",
    "2026-00-00T00:00:00Z",
    "2016-12-31T23:59:60Z",
    "2026-06-01T12:00:00",
    "2026-06-01 12:00:00",
    "2026-06-01T12:00:00+14:00",
    "0001-01-01T00:00:00+14:00",
    "1780315200000",
    "12:00",
    "",
)
WORDS = (
    "1E+999999999",
    "-1E-999999999",
    "NaN",
    "Infinity",
    "-0",
    "1,234",
    "12,5",
    " 12.5",
    "1_000",
    "٣",
    "N/A",
    "0x10",
    "9" * 60,
)
NUMBERS = (
    "-1",
    "0",
    "-0",
    "-0.0",
    "1.0",
    "3.5",
    "1e308",
    "1e999",
    "1e-999",
    "2147483647",
    "2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1" * 400,
    "1" * 5000,
    "1000000000",
    "1e9",
    "0.1000000000000000055511151231257827",
)
"""As JSON writes them; Python's own numbers would not keep their spelling."""


class Spelt:
    """JSON text that goes out as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    @override
    def __repr__(self) -> str:
        return f"Spelt({self.text[:60]!r})"


def encode(value: object) -> str:
    """JSON, with spelt parts and repeated members as they are."""
    if isinstance(value, Spelt):
        return value.text
    if isinstance(value, dict):
        members = (f"{json.dumps(str(k))}:{encode(v)}" for k, v in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(encode(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def nested(depth: int) -> Spelt:
    """Arrays in arrays."""
    return Spelt("[" * depth + "]" * depth)


ANY_VALUE = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(TIMES),
    st.sampled_from(WORDS),
    st.sampled_from(NUMBERS).map(Spelt),
    st.sampled_from((None, True, False)),
    st.just({}),
    st.just([]),
    st.just([None, 1, "x", {}, []]),
    st.just({"a": {"b": {"c": [1, {"d": None}]}}}),
    st.builds(nested, st.sampled_from((2, 20))),
    st.integers(),
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.floats(allow_nan=False, allow_infinity=False),
)
"""Contents: what may stand where a member belongs."""


def places(payload: object, path: str = "") -> list[tuple[str, Any, Any]]:
    """Every member of a payload as (path without indices, container, key)."""
    found: list[tuple[str, Any, Any]] = []
    if isinstance(payload, dict):
        for key, inner in payload.items():
            here = f"{path}.{key}" if path else key
            found += [(here, payload, key), *places(inner, here)]
    elif isinstance(payload, list):
        for index, inner in enumerate(payload):
            found += [(path, payload, index), *places(inner, path)]
    return found


@st.composite
def spoilt(
    draw: st.DrawFn, messages: dict[tuple[str, str], dict[str, Any]]
) -> tuple[str, str, str, list[str]]:
    """A message of which up to three members are replaced, lost, doubled or added.

    Returns (version, action, payload as JSON, paths that were touched).
    """
    version, action = draw(st.sampled_from(sorted(messages)))
    payload = copy.deepcopy(messages[version, action])
    touched = []
    for _ in range(draw(st.integers(1, 3))):
        spots = places(payload)
        kind = draw(st.sampled_from(("replace", "replace", "lose", "add", "double")))
        if kind == "add" or not spots:
            name = draw(st.sampled_from(("__proto__", "x", "", "customData\x00")))
            payload[name] = copy.deepcopy(draw(ANY_VALUE))
            continue
        path, container, key = spots[draw(st.integers(0, len(spots) - 1))]
        touched.append(path)
        if kind == "lose":
            del container[key]
        elif kind == "double" and isinstance(container, dict):
            # The last one counts, for every parser; it is the one that is spoilt.
            value = encode(draw(ANY_VALUE))
            container[key] = Spelt(
                f"{encode(container[key])},{json.dumps(key)}:{value}"
            )
        else:
            container[key] = copy.deepcopy(draw(ANY_VALUE))
    return version, action, encode(payload), touched


_id = '"i"'
MESSAGE_TYPES = (
    "0",
    "1",
    "5",
    "6",
    '"2"',
    "2.0",
    "2e0",
    "true",
    "null",
    "-2",
    "[]",
    "1e400",
)
IDS = (
    '""',
    json.dumps("x" * 37),
    json.dumps("x" * 10_000),
    "7",
    "null",
    "[]",
    '"\\ud800"',
)
ACTIONS = (
    '"Fly"',
    '"heartbeat"',
    '"HEARTBEAT"',
    '"__proto__"',
    '""',
    '"Heart\\u0000beat"',
    "7",
    "null",
    "{}",
    json.dumps("A" * 5000),
    '"../x"',
)
PAYLOADS = (
    "null",
    "[]",
    "[{}]",
    '"{}"',
    "7",
    "true",
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":"\\ud800"}',
    "{'a':1}",
    "{",
    "",
)

MANY = ",".join(["{}"] * 60_000)

FRAMES: dict[str, st.SearchStrategy[bytes | str]] = {
    "empty": st.sampled_from(("", " ", "\n", "\ufeff", "\x00")),
    "binary": st.binary(min_size=1, max_size=300),
    "not UTF-8": st.binary(max_size=10).map(
        lambda tail: b'[2,"i","Heartbeat",{"a":"\xff\xfe' + tail + b'"}]'
    ),
    "not JSON": st.text(max_size=200)
    | st.sampled_from(
        ("no json", "[2,", '[2,"i","Heartbeat",{}', '[2,"i","Heartbeat",{}]]', "[2 3]")
    ),
    "scalar or object": st.sampled_from(
        ("{}", "7", '"x"', "null", "true", '{"2":"i"}', "1e999")
    ),
    "wrong arity": st.integers(0, 9).map(
        lambda n: (
            "["
            + ",".join(("2", _id, '"Heartbeat"', "{}", "{}", "1", "2", "3", "4")[:n])
            + "]"
        )
    ),
    "message type": st.sampled_from(MESSAGE_TYPES).map(
        lambda kind: f'[{kind},"i","Heartbeat",{{}}]'
    ),
    "message id": st.sampled_from(IDS).map(lambda one: f'[2,{one},"Heartbeat",{{}}]'),
    "unsolicited": st.sampled_from(("3", "4")).flatmap(
        lambda kind: st.sampled_from(
            (
                "",
                ",{}",
                ",null",
                ',"GenericError","",{}',
                ",7,8,9,10,11",
                ",[]",
                ',"E","",{"a":1e999}',
                f',"E","",{{"a":{"1" * 5000}}}',
            )
        ).map(lambda rest: f"[{kind},{_id}{rest}]")
    ),
    "action": st.sampled_from(ACTIONS).map(lambda one: f'[2,"i",{one},{{}}]'),
    "payload": st.sampled_from(PAYLOADS).map(lambda one: f'[2,"i","Heartbeat",{one}]'),
    "payload of a start": st.sampled_from(PAYLOADS).map(
        lambda one: f'[2,"i","StartTransaction",{one}]'
    ),
    "depth": st.tuples(
        st.sampled_from((31, 32, 33, 200, 100_000)),
        st.sampled_from(('"Heartbeat"', "7")),
    ).map(lambda of: f'[2,"i",{of[1]},{{"a":{nested(of[0] - 2).text}}}]'),
    "too large": st.sampled_from((MAX_BYTES, 2 * MAX_BYTES)).map(
        lambda n: f'[2,"i","Heartbeat",{{"a":"{"x" * n}"}}]'
    ),
    "many samples": st.sampled_from(("MeterValues", "Heartbeat")).map(
        lambda action: (
            f'[2,"i","{action}",{{"connectorId":1,"evseId":1,"meterValue":'
            f'[{{"timestamp":"{NOON}","sampledValue":[{MANY}]}}]}}]'
        )
    ),
    "any array": st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=6,
    ).map(json.dumps),
}
"""Frames, by their place in the list."""
