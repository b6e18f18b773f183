"""Meters, inverters and batteries: the configured devices, and who reads them."""

import os
import ssl
from collections.abc import Mapping

from gateway.config.meters import MeterConfig, MeterPart, ModbusTable, MqttTable
from gateway.config.secrets import device_password
from gateway.errors import ConfigError
from gateway.meters import modbus
from gateway.meters.broker import Brokers, Login
from gateway.meters.line import Lines
from gateway.meters.mqtt import MqttDevice
from gateway.meters.poller import Held, Meter, Poller
from gateway.meters.port import Device
from gateway.process import Start
from gateway.wiring.base import Base
from gateway.wiring.plans import Plans

N_ANSWERS = 12
"""A reading takes some answers, the first one some more to find the models."""


class Meters:
    """Everything that is read by Modbus TCP or MQTT."""

    def __init__(self, base: Base, plans: Plans, held: Held | None = None) -> None:
        self._lines = Lines()
        self._brokers = Brokers()
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
        self.poller = Poller(
            meters, put=plans.dispatch.put_reading, clock=base.clock, held=held
        )

    def start(self, start: Start) -> None:
        """Start reading; nothing runs where nothing is read."""
        for broker in self._brokers.all.values():
            start(broker.run, f"part.broker.{broker.login.name}")
        if self.devices:
            start(self.poller.run, "part.meters")

    def close(self) -> None:
        """Close the connections."""
        self._lines.close()

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
        return None


def login_of(table: MqttTable, key: str, environment: Mapping[str, str]) -> Login:
    """How a broker is reached.

    Raises:
        ConfigError: Its password cannot be had, or its authorities not be read.
    """
    if table.ca_file is not None:
        try:
            ssl.create_default_context(cafile=table.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{key}.ca_file", f"cannot be used: {error}") from None
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
    assert table is not None
    return table.interval_s, table.silent_after_s
