"""Turns one table of settings into one frozen dataclass, with errors worth reading.

The dataclass is the schema: its fields are the known keys, its defaults the defaults,
its annotations the types, with `Range` where a type does not say enough.
"""

import dataclasses
import difflib
import types
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import (
    Annotated,
    Final,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from gateway.errors import ConfigError

T = TypeVar("T")

MAX_EXPONENT: Final = 18
"""Far above any quantity, far below what makes a huge ``int``."""

_UNITS: Final = frozenset(
    {"a", "da", "ka", "ma", "w", "kw", "mw", "wh", "kwh", "milliwh", "v", "kv"}
    | {"s", "ms", "min", "h", "hours", "percent", "deg", "bytes"}
)
_SECRETS: Final = frozenset({"password", "secret", "token", "key", "private_key"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What an annotation alone cannot say; ``Annotated[int, Range(low=1)]``.

    Attributes:
        low: Least value (of each item, for a tuple).
        high: Greatest value.
        decimals: Most digits after the point; none are silently dropped.
    """

    low: float | None = None
    high: float | None = None
    decimals: int | None = None

    def check(self, value: object, dotted: str) -> None:
        """Check a value, or each item of a tuple.

        Raises:
            ConfigError: It is out of range.
        """
        if isinstance(value, tuple):
            for index, item in enumerate(value):
                self.check(item, f"{dotted}[{index}]")
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            self._check_number(value, dotted)

    def _check_number(self, value: float | Decimal, dotted: str) -> None:
        if self.low is not None and value < self.low:
            raise ConfigError(dotted, f"must be at least {self.low:g}, not {value}")
        if self.high is not None and value > self.high:
            raise ConfigError(dotted, f"must be at most {self.high:g}, not {value}")
        if self.decimals is not None and isinstance(value, Decimal):
            scaled = value.scaleb(self.decimals)
            if scaled != scaled.to_integral_value():
                raise ConfigError(
                    dotted, f"has at most {self.decimals} decimal, not {value}"
                )


def read(cls: type[T], table: object, path: str, base_dir: Path) -> T:
    """Read a table.

    Args:
        cls: A dataclass; `Range` annotations are checked.
        table: As ``tomllib`` gives it, numbers as ``Decimal`` or ``int``.
        path: Dotted key of the table, for errors.
        base_dir: What relative paths in it are relative to.

    Raises:
        ConfigError: Not a table; a key is unknown, missing, of the wrong type or out
            of range. Names the dotted key and the fix.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(path, "must be a table")
    assert dataclasses.is_dataclass(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in table:
        if key not in fields:
            raise unknown(key, path, fields)
    hints = get_type_hints(cls, include_extras=True)
    values: dict[str, object] = {}
    for name, field in fields.items():
        dotted = join(path, name)
        if name in table:
            raw = table[name]
            value = _convert(hints[name], raw, dotted, base_dir)
            for rule in getattr(hints[name], "__metadata__", ()):
                rule.check(value, dotted)
            values[name] = value
        elif field.default is dataclasses.MISSING:
            raise ConfigError(dotted, "is required")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(join(path, error.key), error.problem) from None


def unknown(key: str, path: str, known: Iterable[str]) -> ConfigError:
    """The error for a key that does not exist, with the most likely right one."""
    dotted = join(path, key)
    names = list(known)
    if key in _SECRETS:
        instead = [name for name in names if name.endswith(("_file", "_env"))]
        where = f"give {' or '.join(instead)}" if instead else "use a file or the API"
        return ConfigError(dotted, f"secrets do not belong in this file: {where}")
    same_stem = [name for name in names if _stem(name) == _stem(key)]
    if same_stem:
        return ConfigError(
            dotted,
            f"no such setting; keys end in their unit: use {' or '.join(same_stem)}",
        )
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    if close:
        return ConfigError(dotted, f"no such setting; did you mean {close[0]!r}?")
    return ConfigError(dotted, f"no such setting; known are {', '.join(names)}")


def join(path: str, key: str) -> str:
    """Dotted key of a member."""
    return f"{path}.{key}" if path else key


def _stem(name: str) -> str:
    head, _, tail = name.rpartition("_")
    return head if head and tail in _UNITS else name


def _convert(hint: object, raw: object, dotted: str, base_dir: Path) -> object:
    origin = get_origin(hint)
    if origin is Annotated:
        return _convert(get_args(hint)[0], raw, dotted, base_dir)
    if origin in {Union, types.UnionType}:
        inner = [arg for arg in get_args(hint) if arg is not types.NoneType]
        return None if raw is None else _convert(inner[0], raw, dotted, base_dir)
    if origin is tuple:
        return _convert_items(get_args(hint)[0], raw, dotted, base_dir)
    assert isinstance(hint, type)
    if dataclasses.is_dataclass(hint):
        return read(hint, raw, dotted, base_dir)
    return _convert_plain(hint, raw, dotted, base_dir)


def _convert_plain(hint: type, raw: object, dotted: str, base_dir: Path) -> object:
    if hint is bool:
        if isinstance(raw, bool):
            return raw
        raise ConfigError(dotted, f"must be true or false, not {_shown(raw)}")
    if hint in {int, float, Decimal}:
        return _number(hint, raw, dotted)
    return _text(hint, raw, dotted, base_dir)


def _convert_items(
    item: object, raw: object, dotted: str, base_dir: Path
) -> tuple[object, ...]:
    if not isinstance(raw, list | tuple):
        raise ConfigError(dotted, f"must be a list, not {_shown(raw)}")
    return tuple(
        _convert(item, value, f"{dotted}[{index}]", base_dir)
        for index, value in enumerate(raw)
    )


def _number(hint: type, raw: object, dotted: str) -> int | float | Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        raise ConfigError(dotted, f"must be a number, not {_shown(raw)}")
    number = Decimal(repr(raw) if isinstance(raw, float) else raw)
    if not number.is_finite() or number.adjusted() > MAX_EXPONENT:
        raise ConfigError(dotted, f"is not a usable number: {raw}")
    if hint is int:
        if number != number.to_integral_value():
            raise ConfigError(dotted, f"must be a whole number, not {raw}")
        return int(number)
    return float(number) if hint is float else number


def _text(hint: type, raw: object, dotted: str, base_dir: Path) -> str | Path:
    if not isinstance(raw, str):
        raise ConfigError(dotted, f"must be text in quotes, not {_shown(raw)}")
    if issubclass(hint, StrEnum):
        if raw not in set(hint):
            choices = ", ".join(f'"{choice}"' for choice in hint)
            raise ConfigError(dotted, f"must be one of {choices}, not {raw!r}")
        return hint(raw)
    return base_dir / Path(raw).expanduser() if hint is Path else raw


def _shown(raw: object) -> str:
    return "a table" if isinstance(raw, Mapping) else repr(raw)
