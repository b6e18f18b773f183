"""How each version says *read this setting* and *write that one*.

OCPP 1.6: an item is a key, ``"HeartbeatInterval"`` or ``{"key": ..., "value": ...}``.
OCPP 2.0.1: an item is ``{"component", "variable", "attribute", "value"}``; component
and variable are names or the wire's objects, the attribute is ``Actual`` if left out,
and the wire's ``attributeType`` and ``attributeValue`` are understood as well.

Answers carry the station's own members, and for both versions alike ``status`` and
``value``.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from gateway.ocpp.adapter import Command

Item: TypeAlias = dict[str, Any]

SECRETS: Final = frozenset({"authorizationkey", "basicauthpassword"})
HIDDEN: Final = "(not shown)"
UNANSWERED: Final = "the station said nothing about this item"
_ACTUAL: Final = "Actual"


class Words(Protocol):
    """One action of one version."""

    @property
    def action(self) -> str:
        """Wire action."""
        ...

    @property
    def most_items(self) -> int | None:
        """How many items one message can carry; ``None``: as many as the station."""
        ...

    def item(self, raw: object) -> Item:
        """An item as the wire wants it.

        Raises:
            ValueError: It is not one; says why.
        """
        ...

    def payload(self, items: Sequence[Item]) -> dict[str, object]:
        """Of the CALL for some items."""
        ...

    def results(self, items: Sequence[Item], answer: Mapping[str, Any]) -> list[Item]:
        """What the station said about each item, in the order asked."""
        ...

    def named(self, item: Item) -> Item:
        """What identifies an item in an answer."""
        ...

    def question(self, item: Item) -> Item:
        """The item to read for one that is written."""
        ...


class _Keys:
    """Keys of 1.6."""

    def named(self, item: Item) -> Item:
        return {"key": item["key"]}

    def question(self, item: Item) -> Item:
        return {"key": item["key"]}


class ReadKeys(_Keys):
    """GetConfiguration; no item at all reads everything."""

    action = "GetConfiguration"
    most_items: int | None = None

    def item(self, raw: object) -> Item:
        """A key, or an object with one."""
        return {"key": _members(raw, "key")["key"] if isinstance(raw, dict) else raw}

    def payload(self, items: Sequence[Item]) -> dict[str, object]:
        """``key`` lists them; left out it asks for all."""
        return {"key": [item["key"] for item in items]} if items else {}

    def results(self, items: Sequence[Item], answer: Mapping[str, Any]) -> list[Item]:
        """Keys compare without case (CiString50Type)."""
        known = [
            {**entry, "status": "Accepted", "value": entry.get("value")}
            for entry in objects(answer.get("configurationKey"))
            if isinstance(entry.get("key"), str)
        ]
        if not items:
            return known
        found = {entry["key"].casefold(): entry for entry in known}
        said = answer.get("unknownKey")
        keys = said if isinstance(said, list) else []
        unknown = {str(key).casefold() for key in keys}
        results = []
        for item in items:
            folded = str(item["key"]).casefold()
            if folded in found:
                results.append(found[folded] | {"key": item["key"]})
            else:
                status = "UnknownKey" if folded in unknown else None
                results.append({"key": item["key"], "status": status, "value": None})
        return results


class WriteKeys(_Keys):
    """ChangeConfiguration: one key each (OCPP 1.6, 5.3)."""

    action = "ChangeConfiguration"
    most_items: int | None = 1

    def item(self, raw: object) -> Item:
        """``key`` and ``value``."""
        return _members(raw, "key", "value")

    def payload(self, items: Sequence[Item]) -> dict[str, object]:
        """The only item."""
        return {"key": items[0]["key"], "value": items[0]["value"]}

    def results(self, items: Sequence[Item], answer: Mapping[str, Any]) -> list[Item]:
        """Its status."""
        return [{"key": items[0]["key"], "status": answer.get("status")}]


class _Variables:
    """Variables of 2.0.1."""

    def named(self, item: Item) -> Item:
        return {
            "component": item["component"],
            "variable": item["variable"],
            "attribute": item.get("attributeType", _ACTUAL),
        }

    def question(self, item: Item) -> Item:
        return {name: value for name, value in item.items() if name != "attributeValue"}

    def _matched(
        self, items: Sequence[Item], said: Iterable[Mapping[str, Any]]
    ) -> list[Item]:
        found = {identity(result): result for result in said}
        results = []
        for item in items:
            result = found.get(identity(item), {})
            results.append(
                self.named(item)
                | dict(result)
                | {"status": result.get("attributeStatus")}
                | ({} if result else {"description": UNANSWERED})
            )
        return results


class ReadVariables(_Variables):
    """GetVariables."""

    action = "GetVariables"
    most_items: int | None = None

    def item(self, raw: object) -> Item:
        """Component, variable and attribute."""
        return _variable(raw)

    def payload(self, items: Sequence[Item]) -> dict[str, object]:
        """All of them."""
        return {"getVariableData": list(items)}

    def results(self, items: Sequence[Item], answer: Mapping[str, Any]) -> list[Item]:
        """By component, variable and attribute."""
        results = self._matched(items, objects(answer.get("getVariableResult")))
        return [one | {"value": one.get("attributeValue")} for one in results]


class WriteVariables(_Variables):
    """SetVariables."""

    action = "SetVariables"
    most_items: int | None = None

    def item(self, raw: object) -> Item:
        """Component, variable, attribute and value."""
        item = _variable(raw)
        assert isinstance(raw, dict), "checked by _variable"
        value = raw.get("value", raw.get("attributeValue"))
        if not isinstance(value, str):
            raise ValueError("value: is required, as text")  # noqa: TRY004 - one kind for all
        return {"attributeValue": value} | item

    def payload(self, items: Sequence[Item]) -> dict[str, object]:
        """All of them."""
        return {"setVariableData": list(items)}

    def results(self, items: Sequence[Item], answer: Mapping[str, Any]) -> list[Item]:
        """By component, variable and attribute."""
        return self._matched(items, objects(answer.get("setVariableResult")))


READ: Final[Mapping[str, Words]] = MappingProxyType(
    {"1.6": ReadKeys(), "2.0.1": ReadVariables()}
)
WRITE: Final[Mapping[str, Words]] = MappingProxyType(
    {"1.6": WriteKeys(), "2.0.1": WriteVariables()}
)


def set_password(version: str, secret: str) -> Command:
    """The command that gives a station a new password (security profile 1 and 2)."""
    kind = WRITE[version]
    if version == "1.6":
        item = {"key": "AuthorizationKey", "value": secret}
    else:
        item = {
            "component": "SecurityCtrlr",
            "variable": "BasicAuthPassword",
            "value": secret,
        }
    return Command(action=kind.action, payload=kind.payload([kind.item(item)]))


def shown(item: Item) -> Item:
    """An item to write as it may be told: without a password."""
    return without_secret(item)


def without_secret(result: Item) -> Item:
    """An answer in which no password stands, whatever the station sent."""
    name = result.get("key") or _object(result.get("variable")).get("name")
    if str(name).casefold() not in SECRETS:
        return result
    shown = {"value", "attributeValue"} & result.keys()
    return result | {key: HIDDEN for key in shown if result[key] is not None}


def _members(raw: object, *names: str) -> Item:
    if not isinstance(raw, dict):
        raise ValueError(f"an object with {' and '.join(names)}")  # noqa: TRY004 - one kind for all
    for name in names:
        if not isinstance(raw.get(name), str):
            raise ValueError(f"{name}: is required, as text")  # noqa: TRY004 - one kind for all
    for name in raw:
        if name not in names:
            raise ValueError(f"{name}: no such member")
    return dict(raw)


_KNOWN: Final = frozenset(
    {"component", "variable", "attribute", "attributeType", "value", "attributeValue"}
)


def _variable(raw: object) -> Item:
    if not isinstance(raw, dict):
        raise ValueError("an object with component and variable")  # noqa: TRY004 - one kind for all
    for name in raw:
        if name not in _KNOWN:
            raise ValueError(f"{name}: no such member")
    item: Item = {}
    for name in ("component", "variable"):
        value = raw.get(name)
        if not isinstance(value, str | dict):
            raise ValueError(f"{name}: is required, a name or an object")  # noqa: TRY004 - one kind for all
        item[name] = {"name": value} if isinstance(value, str) else value
    attribute = raw.get("attribute", raw.get("attributeType"))
    if attribute is not None:
        item["attributeType"] = attribute
    return item


def _object(value: object) -> Mapping[str, Any]:
    """An object of the wire; what is none has no members."""
    return value if isinstance(value, dict) else {}


def objects(value: object) -> list[Item]:
    """The objects in a list of the wire; what is none of them is passed over."""
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, dict)]


def identity(item: Mapping[str, Any]) -> tuple[str, ...]:
    """What names an attribute or a key, folded (identifierString has no case)."""
    component, variable = _object(item.get("component")), _object(item.get("variable"))
    evse = _object(component.get("evse"))
    parts = (
        component.get("name"),
        component.get("instance"),
        evse.get("id"),
        evse.get("connectorId"),
        variable.get("name"),
        variable.get("instance"),
        item.get("attributeType") or _ACTUAL,
        item.get("key"),
    )
    return tuple("" if part is None else str(part).casefold() for part in parts)
