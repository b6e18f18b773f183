"""Listeners that want one port are told before anything starts."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config import Config
from gateway.demo import demo_config
from gateway.errors import ConfigError

TLS = {"certificates": [{"cert": "a.pem", "key": "a.key"}]}


def load(
    tmp_path: Path,
    server: Mapping[str, object],
    *,
    tls: int | None = None,
    api: Mapping[str, object] | None = None,
) -> Config:
    document: dict[str, object] = {"server": server, "api": api or {}}
    if tls is not None:
        document["ocpp"] = {"tls": {**TLS, "port": tls}}
    return Config.from_dict(document, tmp_path)


def test_plain_and_tls_on_one_port_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {"ocpp_port": 9000}, tls=9000)
    assert caught.value.key == "ocpp.tls.port"
    assert "9000 is server.ocpp_port already" in caught.value.problem


def test_the_port_for_old_tls_needs_a_number_of_its_own(tmp_path: Path) -> None:
    for taken, by in ((9000, "server.ocpp_port"), (9443, "ocpp.tls.port")):
        document = {"ocpp": {"tls": {**TLS, "legacy_port": taken}}}
        with pytest.raises(ConfigError, match=f"{taken} is {by} already") as caught:
            Config.from_dict(document, tmp_path)
        assert caught.value.key == "ocpp.tls.legacy_port"
    document = {"ocpp": {"tls": {**TLS, "legacy_port": 8080}}}
    with pytest.raises(ConfigError, match=r"8080 is ocpp\.tls\.legacy_port already"):
        Config.from_dict(document, tmp_path)
    document = {"ocpp": {"tls": {**TLS, "legacy_port": 70_000}}}
    with pytest.raises(ConfigError, match="must be at most 65535"):
        Config.from_dict(document, tmp_path)
    document = {"ocpp": {"tls": {**TLS, "legacy_port": 9444}}}
    loaded = Config.from_dict(document, tmp_path).ocpp.tls
    assert loaded is not None
    assert loaded.legacy_port == 9444


@pytest.mark.parametrize(
    ("ocpp_host", "api_host"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - only read
        ("::", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),  # noqa: S104 - only read
        ("127.0.0.1", "localhost"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("gw.example", "GW.example"),
    ],
)
def test_the_api_on_a_station_port_is_refused_where_addresses_meet(
    tmp_path: Path, ocpp_host: str, api_host: str
) -> None:
    server = {"ocpp_host": ocpp_host, "ocpp_port": 8080}
    with pytest.raises(ConfigError, match=r"8080 is server\.ocpp_port already"):
        load(tmp_path, server, api={"host": api_host})
    with pytest.raises(ConfigError, match=r"8080 is ocpp\.tls\.port already"):
        load(tmp_path, {"ocpp_host": ocpp_host}, tls=8080, api={"host": api_host})


def test_one_port_of_two_addresses_and_ports_of_the_systems_choice_are_fine(
    tmp_path: Path,
) -> None:
    two = {"ocpp_host": "192.0.2.1", "ocpp_port": 8080}
    assert load(tmp_path, two, api={"host": "127.0.0.1"}).api.port == 8080
    chosen = load(tmp_path, {"ocpp_port": 0}, tls=0, api={"port": 0})
    assert chosen.server.ocpp_port == 0


def test_the_demo_refuses_one_port_for_both(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"api\.port: 7000 is server\.ocpp_port"):
        demo_config(tmp_path, ocpp_port=7000, api_port=7000)
