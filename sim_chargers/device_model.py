"""A small OCPP 2.0.1 device model: components, variables, and who may write them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

READ_ONLY: Final = "ReadOnly"
READ_WRITE: Final = "ReadWrite"
WRITE_ONLY: Final = "WriteOnly"
NUMERIC: Final = frozenset({"integer", "decimal"})
LISTS: Final = frozenset({"OptionList", "MemberList", "SequenceList"})


@dataclass(slots=True, kw_only=True)
class Variable:
    """One variable with its Actual attribute.

    Attributes:
        choices: What a list may hold; empty for anything.
        unit: Unit of a number.
        live: Reads a value that changes by itself; else ``value`` counts.
        needs_reboot: A new value counts after the next restart.
    """

    component: str
    name: str
    value: str
    kind: str = "string"
    mutability: str = READ_WRITE
    evse_id: int | None = None
    instance: str | None = None
    choices: tuple[str, ...] = ()
    unit: str | None = None
    live: Callable[[], str] | None = None
    needs_reboot: bool = False

    @property
    def text(self) -> str:
        """The value now."""
        return self.value if self.live is None else self.live()

    @property
    def is_monitorable(self) -> bool:
        """Whether it can be watched: what changes by itself."""
        return self.live is not None

    @property
    def number(self) -> float | None:
        """The value as a number, where it is one."""
        return float(self.text) if self.kind in NUMERIC else None

    def fits(self, text: str) -> bool:
        """Whether a text is a value of the variable's type."""
        match self.kind:
            case "boolean":
                return text in ("true", "false")
            case "integer":
                return text.isdigit()
            case "decimal":
                return text.replace(".", "", 1).isdigit()
            case "OptionList" if self.choices:
                return text in self.choices
            case "MemberList" | "SequenceList" if self.choices:
                return all(one in self.choices for one in members(text))
            case _:
                return True

    def names(self) -> dict[str, Any]:
        """Write component and variable, as every message about it has them."""
        component: dict[str, Any] = {"name": self.component}
        if self.evse_id is not None:
            component["evse"] = {"id": self.evse_id}
        variable: dict[str, Any] = {"name": self.name}
        if self.instance is not None:
            variable["instance"] = self.instance
        return {"component": component, "variable": variable}

    def report(self) -> dict[str, Any]:
        """Write the variable as ReportData."""
        attribute: dict[str, Any] = {"type": "Actual", "mutability": self.mutability}
        if self.mutability != WRITE_ONLY:
            attribute["value"] = self.text
        traits: dict[str, Any] = {
            "dataType": self.kind,
            "supportsMonitoring": self.is_monitorable,
        }
        if self.choices:
            traits["valuesList"] = ",".join(self.choices)
        if self.unit is not None:
            traits["unit"] = self.unit
        return {
            **self.names(),
            "variableAttribute": [attribute],
            "variableCharacteristics": traits,
        }


class DeviceModel:
    """All variables of a station."""

    def __init__(self, variables: list[Variable]) -> None:
        """Take the variables in the order of the report."""
        self._variables = variables

    def __iter__(self) -> Iterator[Variable]:
        """Go through the variables in the order of the report."""
        return iter(self._variables)

    def has_component(self, component: str) -> bool:
        """Whether any variable belongs to the component."""
        name = component.casefold()
        return any(v.component.casefold() == name for v in self._variables)

    def find(
        self,
        component: str,
        name: str,
        *,
        evse_id: int | None = None,
        instance: str | None = None,
    ) -> Variable | None:
        """Find a variable; names are case-insensitive."""
        for variable in self._variables:
            if (
                variable.component.casefold() == component.casefold()
                and variable.name.casefold() == name.casefold()
                and variable.evse_id == evse_id
                and variable.instance == instance
            ):
                return variable
        return None

    def resolve(self, asked: dict[str, Any]) -> Variable | str:
        """Find what a message names, or the status word of the refusal."""
        component, variable = asked["component"], asked["variable"]
        found = self.find(
            component["name"],
            variable["name"],
            evse_id=component.get("evse", {}).get("id"),
            instance=variable.get("instance"),
        )
        if found is not None:
            return found
        known = self.has_component(component["name"])
        return "UnknownVariable" if known else "UnknownComponent"

    def text(self, component: str, name: str, instance: str | None = None) -> str:
        """Read the value of a station-wide variable that exists."""
        variable = self.find(component, name, instance=instance)
        assert variable is not None, f"{component}.{name}"
        return variable.text

    def is_true(self, component: str, name: str) -> bool:
        """Read a boolean variable that exists."""
        return self.text(component, name).casefold() == "true"

    def put(self, component: str, name: str, value: str) -> None:
        """Set a station-wide variable that exists, whoever may write it."""
        variable = self.find(component, name)
        assert variable is not None, f"{component}.{name}"
        variable.value = value


def members(text: str) -> list[str]:
    """Split a list value."""
    return [part.strip() for part in text.split(",") if part.strip()]
