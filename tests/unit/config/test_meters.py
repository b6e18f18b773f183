"""What the configuration says of meters, and what it refuses."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.config import Config
from gateway.config.meters import described
from gateway.config.secrets import check_devices, device_password
from gateway.errors import ConfigError

SITE = """
    [[cabinet]]
    id = "A"
    limit_a = [63, 63, 63]
    feeder_meter = "A-feeder"
    feeder_source = "modbus"
    [cabinet.modbus]
    host = "10.0.0.5"
    unit_id = 2
    interval_s = 1

    [[load]]
    id = "hall"
    cabinet = "A"
    worst_case_a = 20
    source = "mqtt"
    [load.mqtt]
    host = "broker.lan"
    tls = true
    topic = "hall/em"
    power_path = "em.total"

    [[load]]
    id = "lift"
    cabinet = "A"
    worst_case_a = 5

    [[pv]]
    id = "roof"
    cabinet = "A"
    peak_w = 10000
    source = "modbus"
    [pv.modbus]
    host = "10.0.0.6"
    map = "registers"
    [[pv.modbus.register]]
    quantity = "power_w"
    address = 30
    type = "int32"

    [[battery]]
    id = "cellar"
    cabinet = "A"
    capacity_wh = 10000
    max_charge_w = 3000
    max_discharge_w = 3000
    source = "modbus"
    [battery.modbus]
    host = "10.0.0.6"
"""


def load(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(dedent(text), encoding="utf-8")
    return Config.load(file)


def test_every_meter_says_what_it_is_read_by(tmp_path: Path) -> None:
    assert [*described(load(tmp_path, SITE).meters)] == [
        "feeder meter A-feeder: Modbus TCP 10.0.0.5:502, unit 2, SunSpec, every 1 s",
        "load hall: MQTT over TLS broker.lan:8883, topic hall/em",
        "load lift: PUT /api/v1/loads/lift/reading",
        "PV roof: Modbus TCP 10.0.0.6:502, unit 1, registers, every 5 s",
        "battery cellar: Modbus TCP 10.0.0.6:502, unit 1, SunSpec, every 5 s",
    ]


def test_the_main_meter_of_a_station_says_so(tmp_path: Path) -> None:
    station = """
    [[station]]
    id = "CP1"
    cabinet = "A"
    main_meter = "lift"
    [[station.evse]]
    id = 1
    max_a = 16
    """
    config = load(tmp_path, SITE + station)
    lines = [*described(config.meters, config.site.stations)]
    assert "load lift: main meter of station CP1" in lines


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('source = "mqtt"', 'source = "modbus"', "load[0].modbus"),
        ('source = "mqtt"', 'source = "api"', "load[0].source"),
        ('feeder_source = "modbus"', "", "cabinet[0].feeder_source"),
        ('feeder_meter = "A-feeder"', "", "cabinet[0].feeder_meter"),
        ('host = "10.0.0.5"', "", "cabinet[0].modbus.host"),
        ('host = "10.0.0.5"', 'host = "a b"', "cabinet[0].modbus.host"),
        ("unit_id = 2", "unit_id = 256", "cabinet[0].modbus.unit_id"),
        ("unit_id = 2", "unit = 2", "cabinet[0].modbus.unit"),
        ("interval_s = 1", "interval_s = 0", "cabinet[0].modbus.interval_s"),
        ("interval_s = 1", 'map = "registers"', "cabinet[0].modbus.register"),
        ('topic = "hall/em"', 'topic = "hall/#"', "load[0].mqtt.topic"),
        ('topic = "hall/em"', "", "load[0].mqtt.topic"),
        ("tls = true", 'ca_file = "ca.pem"', "load[0].mqtt.ca_file"),
        ("tls = true", 'password = "x"', "load[0].mqtt.password"),
        ("tls = true", 'password_env = "X"', "load[0].mqtt.username"),
        ("tls = true", 'command_topic = "c"', "load[0].mqtt.command_topic"),
        ('"em.total"', '"em..total"', "load[0].mqtt.power_path"),
        ('quantity = "power_w"', 'quantity = "soc_percent"', "pv[0].modbus.register"),
        ("address = 30", "address = 70000", "pv[0].modbus.register[0].address"),
        ('type = "int32"', 'type = "int"', "pv[0].modbus.register[0].type"),
        ('type = "int32"', "scale = 0", "pv[0].modbus.register[0].scale"),
        ('map = "registers"', 'map = "sunspec"', "pv[0].modbus.register"),
    ],
)
def test_a_wrong_meter_is_named_by_its_dotted_key(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    assert old in SITE
    text = SITE.replace(old, new, 1)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert caught.value.key == key


def test_only_a_load_has_a_profile(tmp_path: Path) -> None:
    text = SITE.replace('peak_w = 10000\n    source = "modbus"', "peak_w = 1")
    with pytest.raises(ConfigError, match='must be "modbus"'):
        load(tmp_path, text)
    profile = SITE.replace(
        'max_discharge_w = 3000\n    source = "modbus"',
        'max_discharge_w = 3000\n    source = "profile"',
    )
    with pytest.raises(ConfigError, match="only a load has a profile"):
        load(tmp_path, profile)


def test_a_brokers_password_comes_from_a_file_or_the_environment(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "broker.secret"
    secret.write_text("geheim\n")
    secret.chmod(0o600)
    assert device_password(secret, None, {}, "k") == "geheim"
    assert device_password(None, "X", {"X": "other"}, "k") == "other"
    assert device_password(None, None, {}, "k") is None
    for path, variable, key in (
        (tmp_path / "no", None, "k.password_file"),
        (None, "X", "k.password_env"),
    ):
        with pytest.raises(ConfigError) as caught:
            device_password(path, variable, {}, "k")
        assert caught.value.key == key
    secret.chmod(0o644)
    with pytest.raises(ConfigError, match="open to others"):
        device_password(secret, None, {}, "k")


def test_what_is_simulated_is_said_and_warned_of(tmp_path: Path) -> None:
    text = SITE.replace('source = "mqtt"\n    [load.mqtt]', 'source = "simulated"')
    for line in ('host = "broker.lan"', "tls = true", 'topic = "hall/em"'):
        text = text.replace(line, "", 1)
    config = load(tmp_path, text.replace('power_path = "em.total"', ""))
    assert "load hall: SIMULATED: its readings are made up" in [
        *described(config.meters)
    ]
    assert any("load[0].source: simulated" in one for one in config.warnings)


CONTROLLED = SITE.replace(
    "max_discharge_w = 3000", 'max_discharge_w = 3000\n    control = "surplus"'
)


def test_a_battery_can_be_planned_if_it_is_not_too_large(tmp_path: Path) -> None:
    planned = CONTROLLED.replace('"surplus"', '"plan"')
    (battery,) = load(tmp_path, planned).site.batteries
    assert battery.is_controlled
    assert battery.follows_plan
    assert battery.target_percent == 50
    large = re.sub(r"capacity_wh = \d+", "capacity_wh = 10000001", planned)
    with pytest.raises(ConfigError, match="at most 10000000 can be planned"):
        load(tmp_path, large)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("feeder_meter", "", "battery[0].control"),
        ("battery", 'source = "api"', "battery[0].control"),
        ("battery", "registers", "battery[0].modbus.setpoint"),
    ],
)
def test_a_battery_is_controlled_where_it_can_be_told_and_the_surplus_is_seen(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    assert load(tmp_path, CONTROLLED).site.batteries[0].is_controlled
    head, _, tail = CONTROLLED.rpartition('source = "modbus"')
    text = CONTROLLED
    if old == "feeder_meter":
        text = text.replace('feeder_meter = "A-feeder"', "")
        text = text.replace('feeder_source = "modbus"', "")
        start = text.index("[cabinet.modbus]")
        text = text[:start] + text[text.index("[[load]]") :]
    elif new == "registers":
        register = '[[battery.modbus.register]]\nquantity = "power_w"\naddress = 1\n'
        text = dedent(text) + 'map = "registers"\n' + register
    else:
        text = head + new + tail.partition("[battery.modbus]")[0]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert caught.value.key == key


def test_what_a_broker_is_logged_in_to_with_is_checked_without_a_gateway(
    tmp_path: Path,
) -> None:
    secure = 'topic = "hall/em"\n    username = "w"\n    password_env = "BROKER"'
    config = load(tmp_path, SITE.replace('topic = "hall/em"', secure))
    assert check_devices(config.meters, {}) == [
        "load[0].mqtt.password_env: BROKER is not set here"
    ]
    assert check_devices(config.meters, {"BROKER": "x"}) == []
    with pytest.raises(ConfigError, match="is empty"):
        check_devices(config.meters, {"BROKER": ""})
    (tmp_path / "ca.pem").write_text("no certificate")
    text = SITE.replace("tls = true", 'tls = true\n    ca_file = "ca.pem"')
    with pytest.raises(ConfigError) as caught:
        check_devices(load(tmp_path, text).meters, {})
    assert caught.value.key == "load[0].mqtt.ca_file"
