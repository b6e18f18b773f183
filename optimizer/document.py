"""Reads JSON documents strictly: every refusal names the path of the wrong value."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Self

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8785)."""


class ProblemError(ValueError):
    """A field of a problem is wrong; ``path`` says which, ``why`` says how.

    The caller corrects the field; nothing was computed.
    """

    def __init__(self, path: str, why: str) -> None:
        """Keep the path (``sessions[2].max_a``) and the reason apart."""
        super().__init__(path, why)
        self.path = path
        self.why = why

    def __str__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs 3.12
        """Say both on one line."""
        return f"{self.path or '(document)'}: {self.why}"


def canonical_json(document: object) -> str:
    """Serialize as RFC 8785 does, for documents without floats.

    Object keys must be ASCII: only then is the order of code points the order of
    RFC 8785.
    """
    return json.dumps(
        document,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def parse_json(text: str) -> object:
    """Parse text; a syntax error becomes a ``ProblemError`` with line and column."""
    try:
        parsed: object = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as exc:
        raise ProblemError(
            f"line {exc.lineno} column {exc.colno}", f"not JSON: {exc.msg}"
        ) from exc
    except RecursionError as exc:
        raise ProblemError("", "not JSON: nested too deeply") from exc
    except ValueError as exc:
        raise ProblemError("", "not JSON: a number is too long") from exc
    return parsed


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ProblemError(twice, "occurs twice in one object")
    return found


class Node:
    """One value of a parsed document together with its path."""

    __slots__ = ("_value", "path")

    def __init__(self, value: object, path: str = "") -> None:
        """Wrap a value that ``json.loads`` returned."""
        self._value = value
        self.path = path

    def refuse(self, why: str) -> ProblemError:
        """Build the error for this value."""
        return ProblemError(self.path, why)

    def is_null(self) -> bool:
        """Tell whether the value is JSON null."""
        return self._value is None

    def fields(
        self, *, required: Sequence[str], optional: Sequence[str] = ()
    ) -> dict[str, Self]:
        """Return the members of an object; unknown or missing keys are refused."""
        if not isinstance(self._value, Mapping):
            raise self.refuse("must be an object")
        known = (*required, *optional)
        for key in self._value:
            if key not in known:
                raise self._child(str(key)).refuse("no such field")
        for key in required:
            if key not in self._value:
                raise self._child(key).refuse("is missing")
        return {key: self._child(key) for key in known if key in self._value}

    def items(self) -> list[Self]:
        """Return the elements of an array."""
        if not isinstance(self._value, list):
            raise self.refuse("must be an array")
        return [
            type(self)(value, f"{self.path}[{index}]")
            for index, value in enumerate(self._value)
        ]

    def text(self) -> str:
        """Return a string."""
        if not isinstance(self._value, str):
            raise self.refuse("must be a string")
        return self._value

    def integer(self) -> int:
        """Return an integer within +-MAX_INTEGER; booleans and floats are refused."""
        if isinstance(self._value, bool) or not isinstance(self._value, int):
            raise self.refuse("must be an integer")
        if abs(self._value) > MAX_INTEGER:
            raise self.refuse("is out of range")
        return self._value

    def instant(self) -> datetime:
        """Return an RFC 3339 instant as aware UTC datetime."""
        try:
            parsed = datetime.fromisoformat(self.text())
        except ValueError as exc:
            raise self.refuse("must be an RFC 3339 time") from exc
        if parsed.tzinfo is None:
            raise self.refuse("must carry a time zone")
        try:
            return parsed.astimezone(UTC)
        except OverflowError as exc:
            raise self.refuse("is out of range") from exc

    def series(self, n_step: int) -> list[int]:
        """Return one integer per step; a single integer stands for all steps."""
        if not isinstance(self._value, list):
            return [self.integer()] * n_step
        values = [item.integer() for item in self.items()]
        if len(values) != n_step:
            raise self.refuse(f"must hold {n_step} steps, holds {len(values)}")
        return values

    def series_exactly(self, size: int) -> tuple[int, ...]:
        """Return an array of ``size`` integers."""
        values = tuple(item.integer() for item in self.items())
        if len(values) != size:
            raise self.refuse(f"must hold {size} integers, holds {len(values)}")
        return values

    def phase_series(self, n_step: int) -> list[list[int]]:
        """Return three series, phases L1, L2, L3 in this order."""
        phases = self.items()
        if len(phases) != 3:  # noqa: PLR2004 - the grid has three phases
            raise self.refuse("must hold three phases")
        return [phase.series(n_step) for phase in phases]

    def _child(self, key: str) -> Self:
        return type(self)(
            self._value[key]
            if isinstance(self._value, Mapping) and key in self._value
            else None,
            f"{self.path}.{key}" if self.path else key,
        )
