"""Every setting of ``config.toml`` as a table, from the classes that read it."""

import dataclasses
import re
import types
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from gateway.config import certificates, cpo, meters, sections, tables, tls
from gateway.config.reader import Range

TABLES: Final[tuple[tuple[str, str, type], ...]] = (
    ("[server]", "Where stations connect.", sections.ServerConfig),
    ("[api]", "Where people and programs connect.", sections.ApiConfig),
    ("[store]", "Where everything durable lives.", sections.StoreConfig),
    ("[ocpp]", "The conversation with stations.", sections.OcppConfig),
    (
        "[ocpp.tls]",
        "A second port for stations, with TLS. Without this table there is none.",
        tls.TlsConfig,
    ),
    (
        "[[ocpp.tls.certificates]]",
        "One per kind of key; see [operations.md](operations.md#stations-over-tls).",
        tls.CertificateFiles,
    ),
    (
        "[ca]",
        """Who signs stations' certificates. Without this table nobody does; empty,
an authority is made at the first start. See
[operations.md](operations.md#certificates).""",
        certificates.CaConfig,
    ),
    ("[ocsp]", "Whom we ask about revocation.", certificates.OcspConfig),
    ("[iso15118]", "Plug and charge.", certificates.Iso15118Config),
    (
        "[security]",
        "Every default is the strict choice; others are logged (`security.loosened`).",
        sections.SecurityConfig,
    ),
    ("[optimizer]", "How plans are made.", sections.OptimizerConfig),
    (
        "[ledger]",
        """Where evidence is anchored. Everything but `backend` and `settlement` is for
`backend = "rpc"` only; see [evidence.md](evidence.md).""",
        sections.LedgerConfig,
    ),
    ("[billing]", "Money.", sections.BillingConfig),
    (
        "[cpo]",
        "Who operates the site; see [tariffs.md](tariffs.md#charge-detail-records).",
        cpo.CpoConfig,
    ),
    ("[site]", "The place.", tables.SiteTable),
    ("[[cabinet]]", "A distribution board with a limit.", tables.CabinetTable),
    ("[[load]]", "Other equipment that shares a cabinet.", tables.LoadTable),
    ("[[pv]]", "A PV inverter: lowers cost, never raises a limit.", tables.PvTable),
    ("[[battery]]", "A stationary battery: counts as a load.", tables.BatteryTable),
    (
        "[load.modbus]",
        """A device that is read by Modbus TCP: `[load.modbus]`, `[pv.modbus]`,
`[battery.modbus]`, and `[cabinet.modbus]` for the feeder meter. See
[operations.md](operations.md#meters-inverters-and-batteries).""",
        meters.ModbusTable,
    ),
    (
        "[[load.modbus.register]]",
        'A value of a device with `map = "registers"`.',
        meters.RegisterTable,
    ),
    (
        "[battery.modbus.setpoint]",
        "Where a battery without SunSpec takes its power.",
        meters.SetpointTable,
    ),
    (
        "[load.mqtt]",
        """A device that publishes by MQTT: `[load.mqtt]`, `[pv.mqtt]`,
`[battery.mqtt]`, and `[cabinet.mqtt]` for the feeder meter.""",
        meters.MqttTable,
    ),
    (
        "[[station]]",
        "Also the body of [`PUT /stations/ID`](api.md#stations), with other names.",
        tables.StationTable,
    ),
    ("[[station.evse]]", "An EVSE of the station above it.", tables.EvseTable),
)
"""As written in the file, what it is about, and the class that reads it."""

UNITS: Final = {
    "bytes": "bytes",
    "days": "days",
    "deg": "°",
    "wh": "Wh",
    "a": "A",
    "s": "s",
    "v": "V",
    "w": "W",
}
_MEMBER: Final = re.compile(r"^    (?P<name>\w+): (?P<text>.+)$")


def table() -> str:
    """All tables, one section each."""
    lines: list[str] = []
    for name, about, cls in TABLES:
        lines += [f"### `{name}`", "", about, ""]
        lines += ["| setting | default | values | effect |", "|---|---|---|---|"]
        effects, hints = attributes(cls), get_type_hints(cls, include_extras=True)
        for field in dataclasses.fields(cls):
            hint = hints[field.name]
            cells = (
                f"`{field.name}`",
                _default(field, hint),
                _values(field.name, hint),
                effects[field.name],
            )
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines).strip() + "\n"


def attributes(cls: type) -> dict[str, str]:
    """The members that a class's docstring explains."""
    found: dict[str, str] = {}
    _, _, block = (cls.__doc__ or "").partition("Attributes:\n")
    name = ""
    for line in block.splitlines():
        told = line.removeprefix("    ")
        match = _MEMBER.match(told)
        if match:
            name = match["name"]
            found[name] = match["text"]
        elif line.strip() and name:
            found[name] += " " + line.strip()
    return {
        name: text.replace("``None``", "none").replace("``", "`").removesuffix(".")
        for name, text in found.items()
    }


def _default(field: dataclasses.Field[Any], hint: object) -> str:
    value = field.default
    if value is dataclasses.MISSING:
        return "required"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, StrEnum | Path | str):
        return f'`"{value}"`'
    if value is None or (value == () and _is_tables(hint)):
        return "none"
    if value == ():
        return "`[]`"
    assert isinstance(value, int | float | Decimal)
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _values(name: str, hint: object) -> str:
    plain = _plain(hint)
    if plain is bool:
        return "`true`, `false`"
    if isinstance(plain, type) and issubclass(plain, StrEnum):
        return ", ".join(f'`"{word}"`' for word in plain)
    if isinstance(plain, type) and issubclass(plain, Path):
        return "paths" if _is_list(hint) else "path"
    if plain is str:
        return "texts" if _is_list(hint) else "text"
    if dataclasses.is_dataclass(plain):
        return "tables" if _is_list(hint) else "table"
    return _numbers(name, hint)


def _numbers(name: str, hint: object) -> str:
    limits = next(one for one in _metadata(hint) if isinstance(one, Range))
    assert limits.low is not None, f"{name}: has no least value"
    assert limits.high is not None, f"{name}: has no greatest value"
    said = f"{_number(limits.low)} to {_number(limits.high)}"
    unit = UNITS.get(name.rpartition("_")[2]) if "_" in name else None
    if unit is not None:
        said += f" {unit}"
    if _is_list(hint):
        said = f"list of {said}"
    if limits.decimals is not None:
        said += f", {limits.decimals} decimal"
    return said


def _number(value: float) -> str:
    return f"{int(value)}" if float(value).is_integer() else f"{value:g}"


def _metadata(hint: object) -> tuple[object, ...]:
    if get_origin(hint) is Annotated:
        return get_args(hint)[1:]
    inner = [arg for arg in get_args(hint) if get_origin(arg) is Annotated]
    return _metadata(inner[0]) if inner else ()


def _plain(hint: object) -> object:
    origin = get_origin(hint)
    if origin is Annotated or origin is tuple:
        return _plain(get_args(hint)[0])
    if origin in {Union, types.UnionType}:
        return _plain(next(a for a in get_args(hint) if a is not types.NoneType))
    return hint


def _is_list(hint: object) -> bool:
    origin = get_origin(hint)
    if origin is tuple:
        return True
    if origin is Annotated or origin in {Union, types.UnionType}:
        return any(_is_list(arg) for arg in get_args(hint))
    return False


def _is_tables(hint: object) -> bool:
    return dataclasses.is_dataclass(_plain(hint))
