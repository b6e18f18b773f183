"""All meters of a site, from the tables of what they measure."""

from collections.abc import Iterator, Sequence

from gateway.config.meters import MeterConfig, MeterPart
from gateway.config.tables import (
    BatteryTable,
    CabinetTable,
    LoadTable,
    PvTable,
    wired_to,
)
from gateway.domain.phases import ALL_PHASES


def meters_of(
    *,
    cabinets: Sequence[CabinetTable],
    loads: Sequence[LoadTable],
    pvs: Sequence[PvTable],
    batteries: Sequence[BatteryTable],
) -> tuple[MeterConfig, ...]:
    """One entry per feeder meter, load, PV inverter and battery, in that order."""
    return (
        *_feeders(cabinets),
        *_assets(MeterPart.LOAD, "load", loads),
        *_assets(MeterPart.PV, "pv", pvs),
        *_assets(MeterPart.BATTERY, "battery", batteries),
    )


def _feeders(cabinets: Sequence[CabinetTable]) -> Iterator[MeterConfig]:
    for index, table in enumerate(cabinets):
        if table.feeder_meter is not None:
            yield MeterConfig(
                id=table.feeder_meter,
                part=MeterPart.FEEDER,
                key=f"cabinet[{index}]",
                phases=ALL_PHASES,
                source=table.feeder_source,
                stale_after_s=table.feeder_stale_after_s,
                modbus=table.modbus,
                mqtt=table.mqtt,
            )


def _assets(
    part: MeterPart,
    name: str,
    assets: Sequence[LoadTable | PvTable | BatteryTable],
) -> Iterator[MeterConfig]:
    for index, table in enumerate(assets):
        yield MeterConfig(
            id=table.id,
            part=part,
            key=f"{name}[{index}]",
            phases=wired_to(table.phases),
            source=table.source,
            stale_after_s=table.stale_after_s,
            modbus=table.modbus,
            mqtt=table.mqtt,
        )
