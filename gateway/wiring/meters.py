"""Meters, inverters and batteries: the configured devices, and who reads them."""

import asyncio
import os
from collections.abc import Mapping
from datetime import datetime

import structlog

from gateway.config.meters import MeterConfig, MeterPart, ModbusTable, MqttTable
from gateway.config.secrets import check_authorities, device_password
from gateway.domain.topology import LoadSource
from gateway.errors import DeviceError
from gateway.meters import modbus
from gateway.meters.broker import Brokers, Login
from gateway.meters.line import Lines
from gateway.meters.mqtt import MqttDevice
from gateway.meters.poller import Meter, Poller
from gateway.meters.port import Device, Measured
from gateway.meters.simulated import SimulatedSite
from gateway.process import Start
from gateway.services.batteries import Batteries
from gateway.services.batteries_by_hand import BatteriesByHand
from gateway.services.battery_levels import BatteryLevels
from gateway.wiring.base import Base
from gateway.wiring.plans import Plans
from gateway.wiring.prices import plan_prices

_log = structlog.get_logger()

LAST_WORD_S = 2.0
"""Real seconds for brokers to be there when the gateway stops."""
TELL_WITHIN_S = 20.0
"""Real seconds for telling a battery its power."""
SIMULATED_INTERVAL_S = 5.0
"""Site seconds between two readings that are made up."""
MARGIN_S = 5.0
"""Real seconds that a reading may take longer than its device says itself."""
N_ANSWERS = 12
"""A reading takes some answers, the first one more: it finds the models."""


class Meters:
    """Everything that is read by Modbus TCP or MQTT."""

    def __init__(self, base: Base, plans: Plans) -> None:
        self._lines = Lines()
        self._brokers = Brokers()
        self._simulated = SimulatedSite(
            base.config.site,
            clock=base.clock,
            made_up={
                m.id for m in base.config.meters if m.source is LoadSource.SIMULATED
            },
        )
        site = base.config.site
        rates_w = {b.id: b.max_charge_w for b in site.batteries}
        self.devices: dict[str, Device] = {}
        meters: list[Meter] = []
        for one in base.config.meters:
            device = self._device(one, rates_w.get(one.id, 0), os.environ)
            if device is None:
                continue
            self.devices[one.id] = device
            interval_s, deadline_s = _times(one)
            meters.append(
                Meter(
                    id=one.id,
                    part=one.part,
                    device=device,
                    phases=one.phases,
                    interval_s=interval_s,
                    deadline_s=deadline_s,
                    stale_after_s=one.stale_after_s,
                    nominal_v=site.phase_v,
                )
            )
        self.batteries = Batteries(
            site=site,
            cabinets=plans.dispatch,
            bus=base.bus,
            clock=base.clock,
            put=plans.dispatch.put_reading,
            tell=self._tell,
            prices=plan_prices(base.config),
            plans=plans.battery_plans,
        )
        self.levels = BatteryLevels(site)
        self.by_hand = BatteriesByHand(
            self.batteries, writer=base.writer, clock=base.clock
        )
        self.poller = Poller(
            meters, put=self.batteries.put, clock=base.clock, held=self._held
        )

    def start(self, start: Start) -> None:
        """Start reading; nothing runs where nothing is read."""
        for broker in self._brokers.all.values():
            start(broker.run, f"part.broker.{broker.login.name}")
        if self.devices:
            start(self.poller.run, "part.meters")
        if self.batteries.states:
            start(self.by_hand.run, "part.batteries")

    async def close(self) -> None:
        """Leave batteries idle and close the connections.

        Nothing runs any more then: brokers are connected once more for that.
        """
        if self.batteries.states:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(broker.run(), name="meters.last_word")
                    for broker in self._brokers.all.values()
                ]
                try:
                    async with asyncio.timeout(LAST_WORD_S):
                        for broker in self._brokers.all.values():
                            await broker.up()
                except TimeoutError:
                    _log.warning("broker.not_up", brokers=len(running))
                await self.batteries.stop()
                for task in running:
                    task.cancel()
        self._lines.close()

    async def _tell(self, battery_id: str, power_w: int) -> None:
        """Tell a battery its power.

        Raises:
            DeviceError: It cannot be told, or did not accept it in time.
        """
        try:
            async with asyncio.timeout(TELL_WITHIN_S):
                await self.devices[battery_id].set_power_w(power_w)
        except TimeoutError as error:
            raise DeviceError(f"not told within {TELL_WITHIN_S:g} s") from error

    def _held(self, battery_id: str, measured: Measured, at: datetime) -> None:
        for hears in (self.levels.heard, self.batteries.heard):
            hears(
                battery_id,
                power_w=measured.power_w,
                energy_wh=measured.energy_wh,
                soc_percent=measured.soc_percent,
                at=at,
            )

    def _device(
        self, one: MeterConfig, max_w: int, environment: Mapping[str, str]
    ) -> Device | None:
        if one.modbus is not None:
            line = self._lines.to(one.modbus.host, one.modbus.port)
            is_inverter = one.part in {MeterPart.PV, MeterPart.BATTERY}
            return modbus.device(one.modbus, line, is_inverter=is_inverter, max_w=max_w)
        if one.mqtt is not None:
            login = login_of(one.mqtt, f"{one.key}.mqtt", environment)
            return MqttDevice(one.mqtt, self._brokers.to(login))
        if one.source is LoadSource.SIMULATED:
            return self._simulated.device(one.id)
        return None


def login_of(table: MqttTable, key: str, environment: Mapping[str, str]) -> Login:
    """How a broker is reached.

    Raises:
        ConfigError: Its password cannot be had, or its authorities not be read.
    """
    check_authorities(table.ca_file, f"{key}.ca_file")
    return Login(
        host=table.host,
        port=table.used_port,
        is_tls=table.tls,
        ca_file=table.ca_file,
        username=table.username,
        password=device_password(
            table.password_file, table.password_env, environment, key
        ),
    )


def _times(one: MeterConfig) -> tuple[float, float]:
    """Interval and deadline of a meter."""
    table: ModbusTable | MqttTable | None = one.modbus or one.mqtt
    if isinstance(table, ModbusTable):
        return table.interval_s, N_ANSWERS * table.timeout_s + 30.0
    if table is None:
        return SIMULATED_INTERVAL_S, MARGIN_S
    return table.interval_s, table.silent_after_s + MARGIN_S
