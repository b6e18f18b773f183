"""Reads ``config.toml`` as a whole and refuses what could not be run safely."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Self, TypeVar

from gateway.config import certificates, sections, tables
from gateway.config.cpo import CpoConfig
from gateway.config.meter_list import meters_of
from gateway.config.meters import MeterConfig, made_up
from gateway.config.ports import check_ports
from gateway.config.reader import read, unknown
from gateway.config.site import site_of
from gateway.domain import publicity, site_check
from gateway.domain.ids import StationId
from gateway.domain.ocpi import parse_tariff
from gateway.domain.tariff import Tariff, TariffError
from gateway.domain.topology import Site
from gateway.errors import ConfigError

T = TypeVar("T")

MAX_FILE_BYTES: Final = 8_388_608
_TABLES: Final = (
    "server",
    "api",
    "store",
    "ocpp",
    "ca",
    "ocsp",
    "iso15118",
    "security",
    "optimizer",
    "ledger",
    "billing",
    "cpo",
    "site",
    "cabinet",
    "station",
    "pv",
    "battery",
    "load",
    "tariff",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything the gateway is told; each part gets its own section.

    Attributes:
        ca: ``None`` without a section ``[ca]``: nothing is signed.
        site: Checked: limits nest, floors fit.
        tariffs: By id; their windows are in the site's time zone.
        password_sources: Where each station's password comes from, see
            `gateway.config.passwords`.
        warnings: What is allowed but should be known, one sentence each.
        meters: Feeder meters, loads, PV and batteries, and what each is read by.
    """

    server: sections.ServerConfig
    api: sections.ApiConfig
    store: sections.StoreConfig
    ocpp: sections.OcppConfig
    ca: certificates.CaConfig | None
    ocsp: certificates.OcspConfig
    iso15118: certificates.Iso15118Config
    security: sections.SecurityConfig
    optimizer: sections.OptimizerConfig
    ledger: sections.LedgerConfig
    billing: sections.BillingConfig
    cpo: CpoConfig
    site: Site
    tariffs: Mapping[str, Tariff]
    password_sources: Mapping[StationId, Path | str]
    warnings: tuple[str, ...]
    meters: tuple[MeterConfig, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file; relative paths in it are relative to its folder.

        Raises:
            ConfigError: The file cannot be read or is wrong.
        """
        try:
            size = path.stat().st_size
            if size > MAX_FILE_BYTES:
                raise ConfigError(str(path), f"is larger than {MAX_FILE_BYTES} bytes")
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(str(path), "is not UTF-8 text") from None
        try:
            document = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(str(path), f"is not TOML: {error}") from None
        return cls.from_dict(document, path.resolve().parent)

    @classmethod
    def from_dict(cls, document: Mapping[str, object], base_dir: Path) -> Self:
        """Check a document that is already parsed.

        Raises:
            ConfigError: Names the dotted key of the first thing that is wrong.
        """
        _refuse_unknown(document)

        def section(cls_: type[T], name: str) -> T:
            return read(cls_, document.get(name, {}), name, base_dir)

        def rows(cls_: type[T], name: str) -> tuple[T, ...]:
            return tuple(
                read(cls_, table, f"{name}[{index}]", base_dir)
                for index, table in enumerate(_list(document, name))
            )

        billing = section(sections.BillingConfig, "billing")
        site_table = section(tables.SiteTable, "site")
        stations = rows(tables.StationTable, "station")
        cabinets = rows(tables.CabinetTable, "cabinet")
        loads = rows(tables.LoadTable, "load")
        pvs = rows(tables.PvTable, "pv")
        batteries = rows(tables.BatteryTable, "battery")
        built = site_of(
            site_table,
            cabinets=cabinets,
            stations=stations,
            loads=loads,
            pvs=pvs,
            batteries=batteries,
        )
        _check_site(built)
        meters = meters_of(cabinets=cabinets, loads=loads, pvs=pvs, batteries=batteries)
        tariffs = _tariffs(document, billing.currency, built.timezone)
        optimizer = section(sections.OptimizerConfig, "optimizer")
        _check_tariff_ids(built, billing, optimizer, tariffs)
        store = section(sections.StoreConfig, "store")
        server = section(sections.ServerConfig, "server")
        api = section(sections.ApiConfig, "api")
        ocpp = section(sections.OcppConfig, "ocpp")
        check_ports(server, api, ocpp.tls)
        return cls(
            server=server,
            api=api,
            store=sections.StoreConfig(path=base_dir / store.path),
            ocpp=ocpp,
            ca=certificates.ca_of(document, base_dir),
            ocsp=section(certificates.OcspConfig, "ocsp"),
            iso15118=section(certificates.Iso15118Config, "iso15118"),
            security=section(sections.SecurityConfig, "security"),
            optimizer=optimizer,
            ledger=section(sections.LedgerConfig, "ledger"),
            billing=billing,
            cpo=section(CpoConfig, "cpo"),
            site=built,
            tariffs=tariffs,
            password_sources=_password_sources(stations),
            warnings=(
                *(
                    f"{key_of(built, problem)}: {problem.text}"
                    for problem in site_check.warnings(built)
                ),
                *made_up(meters),
            ),
            meters=meters,
        )


def key_of(built: Site, problem: site_check.Problem) -> str:
    """Dotted key of a finding, as ``cabinet[1].limit_a``."""
    if problem.part == "evse":
        station_id, _, evse_id = problem.part_id.rpartition("/")
        index, station = next(
            (i, s) for i, s in enumerate(built.stations) if s.id == station_id
        )
        places = [
            i for i, e in enumerate(station.evses) if str(e.ref.evse_id) == evse_id
        ]
        if problem.field == "unit":
            return f"station[{index}].unit"
        return f"station[{index}].evse[{places[-1]}].{problem.field}"
    ids: dict[str, list[str]] = {
        "cabinet": [str(c.id) for c in built.cabinets],
        "station": [str(s.id) for s in built.stations],
        "load": [load.id for load in built.loads],
        "pv": [pv.id for pv in built.pvs],
        "battery": [battery.id for battery in built.batteries],
    }
    named = ids[problem.part]
    last = len(named) - 1 - named[::-1].index(problem.part_id)
    return f"{problem.part}[{last}].{problem.field}"


def _refuse_unknown(document: Mapping[str, object]) -> None:
    for name in document:
        if name not in _TABLES:
            raise unknown(name, "", _TABLES)


def _list(document: Mapping[str, object], name: str) -> list[object]:
    value = document.get(name, [])
    if not isinstance(value, list):
        raise ConfigError(name, f"is a list of tables: write [[{name}]]")
    return value


def _check_site(built: Site) -> None:
    for problem in (*site_check.problems(built), *publicity.problems(built)):
        raise ConfigError(key_of(built, problem), problem.text)


def _tariffs(
    document: Mapping[str, object], currency: str, timezone: str
) -> dict[str, Tariff]:
    found: dict[str, Tariff] = {}
    for index, table in enumerate(_list(document, "tariff")):
        path = f"tariff[{index}]"
        if not isinstance(table, Mapping):
            raise ConfigError(path, "must be a table")
        try:
            tariff = parse_tariff(table, currency=currency, timezone=timezone)
        except TariffError as error:
            raise ConfigError(f"{path}.{error.field}", error.problem) from None
        if tariff.currency != currency:
            raise ConfigError(
                f"{path}.currency", f"billing.currency is {currency!r}: use one"
            )
        if tariff.id in found:
            raise ConfigError(f"{path}.id", f"{tariff.id!r} occurs twice")
        found[tariff.id] = tariff
    return found


def _check_tariff_ids(
    built: Site,
    billing: sections.BillingConfig,
    optimizer: sections.OptimizerConfig,
    tariffs: Mapping[str, Tariff],
) -> None:
    if billing.default_tariff is not None and billing.default_tariff not in tariffs:
        raise ConfigError(
            "billing.default_tariff", f"no [[tariff]] {billing.default_tariff!r}"
        )
    for key in ("import_tariff", "feed_in_tariff"):
        named = getattr(optimizer, key)
        if named is not None and named not in tariffs:
            raise ConfigError(f"optimizer.{key}", f"no [[tariff]] {named!r}")
    for index, station in enumerate(built.stations):
        if station.tariff_id is not None and station.tariff_id not in tariffs:
            raise ConfigError(
                f"station[{index}].tariff_id", f"no [[tariff]] {station.tariff_id!r}"
            )


def _password_sources(
    stations: tuple[tables.StationTable, ...],
) -> dict[StationId, Path | str]:
    found: dict[StationId, Path | str] = {}
    for station in stations:
        source = station.password_file or station.password_env
        if source is not None:
            found[StationId(station.id)] = source
    return found
