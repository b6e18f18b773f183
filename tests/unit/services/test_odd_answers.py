"""Answers of any shape are read without a stumble, in both versions."""

from typing import Any

import pytest

from gateway.ocpp.adapter import Adapter
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201
from gateway.services.variable_words import READ, WRITE

NAMED = {"component": {"name": {}}, "variable": {"name": []}}
ODD: list[Any] = [
    *(None, 0, 1.5, True, "x", [], [1], ["a"], [[]], [{}], [None], {}, {"a": [1]}),
    [{"status": {}, "attributeStatus": [], "component": 5, "variable": "x"}],
    [{**NAMED, "attributeStatus": "Accepted", "attributeValue": {}}],
    [{"key": [], "value": {}}],
    [{"key": "A", "value": {}, "readonly": "no"}],
]
MEMBERS = (
    *("status", "setVariableResult", "getVariableResult", "configurationKey"),
    *("unknownKey", "listVersion", "versionNumber"),
)


@pytest.mark.parametrize("adapter", [V16(), V201()], ids=["1.6", "2.0.1"])
@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_odd_member_says_nothing(adapter: Adapter, member: str, odd: object) -> None:
    answer = {member: odd}
    read, write = READ[adapter.version], WRITE[adapter.version]
    name: dict[str, Any] = {"component": "a", "variable": "b"}
    if adapter.version == "1.6":
        name = {"key": "other"}
    question, wanted = read.item(name), write.item({**name, "value": "1"})
    (told,) = read.results([question], answer)
    assert told["value"] is None
    read.results([], answer)
    (written,) = write.results([wanted], answer)
    assert written["status"] != "Accepted"
    adapter.lists.version_of(answer)
    adapter.lists.status_of(answer)
    adapter.lists.room_of(answer, None)
    adapter.prices.is_understood(answer)
