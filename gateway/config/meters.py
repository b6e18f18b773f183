"""How meters, inverters and batteries are read: tables of Modbus TCP and MQTT."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from gateway.config.reader import Range
from gateway.domain.phases import Rotation
from gateway.domain.topology import LoadSource, Station
from gateway.errors import ConfigError

MQTT_PORT: Final = 1883
MQTT_TLS_PORT: Final = 8883
MAX_TOPIC_CHARS: Final = 1_024
N_PHASE: Final = 3
PATH: Final = re.compile(r"[^.\[\]]+(\[\d{1,4}\])*(\.[^.\[\]]+(\[\d{1,4}\])*)*")
"""Where a value is in a published message, as ``Body.Data[0].power``."""


class RegisterMap(StrEnum):
    """How the registers of a device are laid out."""

    SUNSPEC = "sunspec"
    REGISTERS = "registers"


class RegisterKind(StrEnum):
    """Which of its two tables a register is in."""

    HOLDING = "holding"
    INPUT = "input"


class WordOrder(StrEnum):
    """Which register of a number comes first: its high or its low one."""

    BIG = "big"
    LITTLE = "little"


class NumberType(StrEnum):
    """How registers make a number."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def n_register(self) -> int:
        """How many registers it takes."""
        return int(self.value.lstrip("uintfloa")) // 16


class Quantity(StrEnum):
    """What a register says."""

    POWER_W = "power_w"
    CURRENT_L1_A = "current_l1_a"
    CURRENT_L2_A = "current_l2_a"
    CURRENT_L3_A = "current_l3_a"
    ENERGY_WH = "energy_wh"
    SOC_PERCENT = "soc_percent"


CURRENTS: Final = (
    Quantity.CURRENT_L1_A,
    Quantity.CURRENT_L2_A,
    Quantity.CURRENT_L3_A,
)


class ChargeSign(StrEnum):
    """Which sign means charging where a battery is told its power."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


class BatteryControl(StrEnum):
    """What a battery is told."""

    OFF = "off"
    SURPLUS = "surplus"
    PLAN = "plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterTable:
    """``[[load.modbus.register]]``.

    Attributes:
        quantity: What it says.
        address: Of its first register, counted from 0 as it is sent.
        kind: ``holding`` or ``input``.
        type: How its registers make a number.
        word_order: ``big``: the high register comes first.
        scale: What the number is multiplied with to be in the unit of ``quantity``.
    """

    quantity: Quantity
    address: Annotated[int, Range(low=0, high=65_535)]
    kind: RegisterKind = RegisterKind.HOLDING
    type: NumberType = NumberType.INT16
    word_order: WordOrder = WordOrder.BIG
    scale: Annotated[float, Range(low=-1e6, high=1e6)] = 1.0

    def __post_init__(self) -> None:
        if not self.scale:
            raise ConfigError("scale", "must not be 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetpointTable:
    """``[battery.modbus.setpoint]``.

    Attributes:
        address: Of the first holding register that takes the power, counted from 0.
        type: How its registers make a number.
        word_order: ``big``: the high register comes first.
        scale: W per count of the register.
        charging: Which sign means charging.
    """

    address: Annotated[int, Range(low=0, high=65_535)]
    type: NumberType = NumberType.INT16
    word_order: WordOrder = WordOrder.BIG
    scale: Annotated[float, Range(low=1e-6, high=1e6)] = 1.0
    charging: ChargeSign = ChargeSign.POSITIVE

    def __post_init__(self) -> None:
        if self.type in {NumberType.UINT16, NumberType.UINT32, NumberType.UINT64}:
            raise ConfigError("type", "a setpoint has a sign: int16, int32 or a float")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusTable:
    """``[load.modbus]``, ``[pv.modbus]``, ``[battery.modbus]``, ``[cabinet.modbus]``.

    Attributes:
        host: Address of the device, or of the gateway to its bus.
        port: TCP port.
        unit_id: Its number behind a gateway; devices with one host and port share one
            connection.
        map: ``sunspec``: the device says itself where its values are; ``registers``:
            as the tables ``register`` say.
        base_address: Of the SunSpec marker; without it 40000, 0 and 50000 are tried.
        model: SunSpec model to read where the device has several, as ``203``.
        interval_s: Between two readings.
        timeout_s: For each answer.
        invert: Its signs are the other way round: a meter shall count import positive,
            an inverter what it delivers.
        register: With ``map = "registers"``: one table for each value.
        setpoint: Of a battery with ``map = "registers"`` that is controlled.
    """

    host: str
    port: Annotated[int, Range(low=1, high=65_535)] = 502
    unit_id: Annotated[int, Range(low=0, high=255)] = 1
    map: RegisterMap = RegisterMap.SUNSPEC
    base_address: Annotated[int | None, Range(low=0, high=65_000)] = None
    model: Annotated[int | None, Range(low=1, high=65_000)] = None
    interval_s: Annotated[float, Range(low=0.2, high=3_600)] = 5.0
    timeout_s: Annotated[float, Range(low=0.1, high=30)] = 2.0
    invert: bool = False
    register: tuple[RegisterTable, ...] = ()
    setpoint: SetpointTable | None = None

    def __post_init__(self) -> None:
        _check_host(self.host)
        if self.map is RegisterMap.SUNSPEC:
            if self.register or self.setpoint is not None:
                key = "register" if self.register else "setpoint"
                raise ConfigError(key, 'only with map = "registers"')
            return
        if self.model is not None or self.base_address is not None:
            key = "base_address" if self.model is None else "model"
            raise ConfigError(key, 'only with map = "sunspec"')
        counts = Counter(one.quantity for one in self.register)
        twice = [one.value for one, count in counts.items() if count > 1]
        if twice:
            raise ConfigError("register", f"{twice[0]} occurs twice")
        if not counts.keys() & {Quantity.POWER_W, *CURRENTS}:
            raise ConfigError(
                "register", "one of power_w and current_l1_a to current_l3_a is needed"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttTable:
    """``[load.mqtt]``, ``[pv.mqtt]``, ``[battery.mqtt]``, ``[cabinet.mqtt]``.

    Paths name a member of the JSON that is published, as ``Body.Data[0].power``.

    Attributes:
        host: Address of the broker.
        port: TCP port; without it 1883, with TLS 8883.
        tls: The connection is encrypted, and the broker's certificate checked.
        ca_file: Authorities that may have signed it; without it those of the system.
        username: As the broker knows us.
        password_file: File with its password; this or ``password_env``.
        password_env: Name of the environment variable with its password.
        topic: What the meter publishes to; no wildcards.
        power_path: Where the power is; without any path the message is the power.
        current_paths: Where the currents of its phases are, one to three.
        energy_path: Where the energy held is, in Wh; of a battery.
        soc_path: Where the state of charge is, in percent; of a battery.
        time_path: Where the time of the measurement is: Unix seconds, or as
            ``2026-03-01T12:00:00Z``. A message that the broker kept (retained) counts
            only with one.
        power_scale: What a published power is multiplied with to be in W.
        current_scale: What a published current is multiplied with to be in A.
        invert: Its signs are the other way round: a meter shall count import positive,
            an inverter what it delivers.
        interval_s: At most one reading is taken in this time.
        silent_after_s: Without a message for this long the meter counts as lost.
        command_topic: Where a controlled battery takes its power in W; charging is
            positive.
        command_path: The power is published as this member of a JSON object; without
            it as a number.
    """

    host: str
    port: Annotated[int | None, Range(low=1, high=65_535)] = None
    tls: bool = False
    ca_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    topic: str
    power_path: str | None = None
    current_paths: tuple[str, ...] = ()
    energy_path: str | None = None
    soc_path: str | None = None
    time_path: str | None = None
    power_scale: Annotated[float, Range(low=-1e6, high=1e6)] = 1.0
    current_scale: Annotated[float, Range(low=-1e6, high=1e6)] = 1.0
    invert: bool = False
    interval_s: Annotated[float, Range(low=0.1, high=3_600)] = 1.0
    silent_after_s: Annotated[float, Range(low=1, high=86_400)] = 60.0
    command_topic: str | None = None
    command_path: str | None = None

    def __post_init__(self) -> None:
        _check_host(self.host)
        _check_topic("topic", self.topic)
        if self.command_topic is not None:
            _check_topic("command_topic", self.command_topic)
        elif self.command_path is not None:
            raise ConfigError("command_path", "needs command_topic")
        if self.ca_file is not None and not self.tls:
            raise ConfigError("ca_file", "needs tls = true")
        if self.password_file is not None and self.password_env is not None:
            raise ConfigError("password_env", "give password_file or password_env")
        if self.username is None and self._has_password:
            raise ConfigError("username", "a password needs one")
        if len(self.current_paths) > N_PHASE:
            raise ConfigError("current_paths", "one path per phase, at most three")
        self._check_paths()
        if (self.energy_path or self.soc_path or self.time_path) and not (
            self.power_path or self.current_paths
        ):
            raise ConfigError("power_path", "a message with several values needs it")
        for key in ("power_scale", "current_scale"):
            if not getattr(self, key):
                raise ConfigError(key, "must not be 0")

    def _check_paths(self) -> None:
        named = {
            "power_path": self.power_path,
            "energy_path": self.energy_path,
            "soc_path": self.soc_path,
            "time_path": self.time_path,
            **{f"current_paths[{i}]": p for i, p in enumerate(self.current_paths)},
        }
        for key, path in named.items():
            if path is not None and PATH.fullmatch(path) is None:
                raise ConfigError(key, f"{path!r} is no path, as Body.Data[0].power")

    @property
    def _has_password(self) -> bool:
        return self.password_file is not None or self.password_env is not None

    @property
    def used_port(self) -> int:
        """The port that is connected to."""
        return self.port or (MQTT_TLS_PORT if self.tls else MQTT_PORT)


class MeterPart(StrEnum):
    """What a meter measures."""

    FEEDER = "feeder meter"
    LOAD = "load"
    PV = "PV"
    BATTERY = "battery"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterConfig:
    """Where the readings of one asset come from.

    Attributes:
        id: As in ``PUT /loads/ID/reading``.
        key: Dotted key of its table, for errors.
        phases: Supply phases of the meter's own L1.. in order.
        stale_after_s: Site seconds after which a reading no longer counts.
    """

    id: str
    part: MeterPart
    key: str
    phases: Rotation
    source: LoadSource
    stale_after_s: int
    modbus: ModbusTable | None = None
    mqtt: MqttTable | None = None


def check_source(
    source: LoadSource,
    modbus: ModbusTable | None,
    mqtt: MqttTable | None,
    *,
    key: str = "source",
) -> None:
    """Hold a source against the tables beside it.

    Raises:
        ConfigError: The table of the source is missing, or another one is there.
    """
    for name, table in ((LoadSource.MODBUS, modbus), (LoadSource.MQTT, mqtt)):
        if source is name and table is None:
            raise ConfigError(name.value, f'is required with {key} = "{name}"')
        if source is not name and table is not None:
            raise ConfigError(key, f'must be "{name}" where there is a table {name}')


def made_up(meters: Sequence[MeterConfig]) -> Iterator[str]:
    """One warning for each meter that is simulated."""
    for one in meters:
        if one.source is LoadSource.SIMULATED:
            name = "feeder_source" if one.part is MeterPart.FEEDER else "source"
            yield (
                f"{one.key}.{name}: simulated: the readings of {one.id} are made up, "
                "nothing is measured: for trying out only"
            )


def check_measures_only(modbus: ModbusTable | None, mqtt: MqttTable | None) -> None:
    """Refuse what tells power to something that is no battery.

    Raises:
        ConfigError: A setpoint or a topic for commands is given.
    """
    if modbus is not None and modbus.setpoint is not None:
        raise ConfigError("modbus.setpoint", "only a battery is told its power")
    if mqtt is not None and mqtt.command_topic is not None:
        raise ConfigError("mqtt.command_topic", "only a battery is told its power")


def check_controlled(
    source: LoadSource, modbus: ModbusTable | None, mqtt: MqttTable | None
) -> None:
    """Refuse to control a battery that cannot be told its power.

    Raises:
        ConfigError: It is not read by us, or has nothing that takes its power.
    """
    if source is LoadSource.SIMULATED:
        return
    if modbus is None and mqtt is None:
        raise ConfigError("control", 'needs source = "modbus" or "mqtt"')
    is_listed = modbus is not None and modbus.map is RegisterMap.REGISTERS
    if modbus is not None and is_listed and modbus.setpoint is None:
        raise ConfigError("modbus.setpoint", "a battery that is controlled needs it")
    if mqtt is not None and mqtt.command_topic is None:
        raise ConfigError("mqtt.command_topic", "a battery that is controlled needs it")
    has_energy = (
        mqtt is not None and (mqtt.energy_path is not None or mqtt.soc_path is not None)
    ) or (
        modbus is not None
        and (
            not is_listed
            or {one.quantity for one in modbus.register}
            & {Quantity.ENERGY_WH, Quantity.SOC_PERCENT}
        )
    )
    if not has_energy:
        key = "modbus.register" if mqtt is None else "mqtt.soc_path"
        raise ConfigError(key, "a battery that is controlled tells what it holds")


def described(
    meters: Sequence[MeterConfig], stations: Sequence[Station] = ()
) -> Iterator[str]:
    """One line per meter: what it is read by."""
    mains = {s.main_meter: s.id for s in stations if s.main_meter is not None}
    for one in meters:
        main = f"main meter of station {mains[one.id]}" if one.id in mains else ""
        is_put = one.source is LoadSource.API
        yield f"{one.part} {one.id}: {main if main and is_put else _read_by(one)}"


def _read_by(one: MeterConfig) -> str:
    if one.modbus is not None:
        table = one.modbus
        what = "SunSpec" if table.map is RegisterMap.SUNSPEC else "registers"
        return (
            f"Modbus TCP {table.host}:{table.port}, unit {table.unit_id}, {what}, "
            f"every {table.interval_s:g} s"
        )
    if one.mqtt is not None:
        by = "MQTT over TLS" if one.mqtt.tls else "MQTT"
        return f"{by} {one.mqtt.host}:{one.mqtt.used_port}, topic {one.mqtt.topic}"
    if one.source is LoadSource.SIMULATED:
        return "SIMULATED: its readings are made up"
    if one.source is LoadSource.PROFILE:
        return "not read: its profile is planned with, its worst case counts"
    return f"PUT /api/v1/loads/{one.id}/reading"


def _check_host(host: str) -> None:
    if not host or any(c.isspace() or c in "/@" for c in host):
        raise ConfigError("host", f"{host!r} is no host name or address")


def _check_topic(key: str, topic: str) -> None:
    if not 0 < len(topic) <= MAX_TOPIC_CHARS or "\0" in topic:
        raise ConfigError(key, f"has 1 to {MAX_TOPIC_CHARS} characters")
    if "#" in topic or "+" in topic:
        raise ConfigError(key, f"{topic!r} has a wildcard: one meter, one topic")
