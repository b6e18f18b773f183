"""Which settings of resending are raised, and that none is ever lowered."""

import pytest

from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.services.message_attempts import Told, to_raise


def told(name: str, value: str | None, *, is_readonly: bool = False) -> Told:
    return Told(name=name, value=value, is_readonly=is_readonly)


@pytest.mark.parametrize(
    ("setting", "raised"),
    [
        (told("TransactionMessageAttempts", "3"), 10),
        (told("TransactionMessageRetryInterval", "5"), 30),
        (told("MessageAttempts/TransactionEvent", " 1 "), 10),
        (told("MessageAttemptInterval/TransactionEvent", "10"), 30),
        (told("MessageAttempts", "0"), 10),
        (told("TransactionMessageAttempts", "10"), None),
        (told("TransactionMessageRetryInterval", "60"), None),
        (told("TransactionMessageAttempts", "3", is_readonly=True), None),
        (told("TransactionMessageAttempts", "many"), None),
        (told("TransactionMessageAttempts", None), None),
        (told("MessageAttempts/Other", "1"), None),
        (told("HeartbeatInterval", "1"), None),
    ],
    ids=lambda one: f"{one.name}={one.value}" if isinstance(one, Told) else "",
)
def test_only_what_a_station_told_and_is_too_little_is_raised(
    setting: Told, raised: int | None
) -> None:
    wanted = [] if raised is None else [(setting.name, raised)]
    assert to_raise([setting]) == wanted


def test_each_version_writes_the_name_as_it_was_told() -> None:
    old = V16().encode_resending("TransactionMessageAttempts", 10)
    assert old.payload == {"key": "TransactionMessageAttempts", "value": "10"}
    new = V201().encode_resending("MessageAttempts/TransactionEvent", 10)
    assert new.payload == {
        "setVariableData": [
            {
                "attributeValue": "10",
                "component": {"name": "OCPPCommCtrlr"},
                "variable": {"name": "MessageAttempts", "instance": "TransactionEvent"},
            }
        ]
    }
