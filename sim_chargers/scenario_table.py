"""Tables of a scenario file, read member by member."""

from collections.abc import Mapping
from typing import Any

from sim_chargers.evse import parse_rotation
from sim_chargers.meter_spec import MeterSpec
from sim_chargers.meter_spec import parse as parse_meter


class ScenarioError(ValueError):
    """The scenario is not usable; the text starts with the dotted key."""


class Table:
    """A table whose members are taken one by one; what is left over is an error."""

    def __init__(self, tree: object, path: str) -> None:
        """Begin with all members of a table at a dotted path."""
        if not isinstance(tree, Mapping):
            raise ScenarioError(f"{path or 'scenario'}: a table is needed")
        self._left: dict[str, Any] = dict(tree)
        self.path = path

    def key(self, name: str) -> str:
        """Name a member with its table."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, name: str, default: object = None) -> Any:  # noqa: ANN401 - JSON from outside
        """Take a member as it is."""
        return self._left.pop(name, default)

    def text(self, name: str, default: str | None = None) -> str:
        """Take a text."""
        value = self.take(name, default)
        if not isinstance(value, str):
            raise ScenarioError(f"{self.key(name)}: a text is needed")
        return value

    def optional_text(self, name: str) -> str | None:
        """Take a text, where there is one."""
        return self.text(name) if self._left.get(name) is not None else None

    def number(self, name: str, default: float | None = None) -> float:
        """Take a number from 0 on."""
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ScenarioError(f"{self.key(name)}: a number from 0 on is needed")
        return float(value)

    def optional_number(self, name: str) -> float | None:
        """Take a number, where there is one."""
        return self.number(name) if self._left.get(name) is not None else None

    def flag(self, name: str, default: bool) -> bool:
        """Take true or false."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise ScenarioError(f"{self.key(name)}: true or false is needed")
        return value

    def pair(self, name: str, default: tuple[float, float]) -> tuple[float, float]:
        """Take two numbers, the lower first."""
        match self.take(name, list(default)):
            case [int() | float() as low, int() | float() as high] if 0 <= low <= high:
                return (float(low), float(high))
            case _:
                raise ScenarioError(f"{self.key(name)}: [low, high] is needed")

    def rotation(self, name: str) -> tuple[int, ...]:
        """Take a rotation of phases."""
        try:
            return parse_rotation(self.text(name, "L1L2L3"))
        except ValueError as error:
            raise ScenarioError(f"{self.key(name)}: {error}") from error

    def strings(self, name: str) -> tuple[str, ...]:
        """Take a list of texts."""
        values = self.take(name, [])
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise ScenarioError(f"{self.key(name)}: a list of texts is needed")
        return tuple(values)

    def tables(self, name: str) -> list["Table"]:
        """Take a list of tables."""
        values = self.take(name, [])
        if not isinstance(values, list):
            raise ScenarioError(f"{self.key(name)}: a list of tables is needed")
        return [Table(v, f"{self.key(name)}[{i}]") for i, v in enumerate(values)]

    def cabinet(self, known: set[str]) -> str:
        """Take the id of a cabinet that is known."""
        name = self.text("cabinet")
        if name not in known:
            raise ScenarioError(f"{self.key('cabinet')}: no cabinet {name!r}")
        return name

    def meter(self) -> MeterSpec | None:
        """Take the table of meters that sign, where there is one."""
        tree = self.take("meter")
        try:
            return None if tree is None else parse_meter(tree)
        except ValueError as error:
            raise ScenarioError(f"{self.key('meter')}: {error}") from error

    def finish(self) -> None:
        """Refuse what was not taken."""
        for name in sorted(self._left):
            raise ScenarioError(f"{self.key(name)}: no such setting")
