"""What the configuration refuses, and how it says so."""

from pathlib import Path
from textwrap import dedent

import pytest

from gateway.config import Config, passwords
from gateway.domain.ids import StationId
from gateway.errors import ConfigError

SITE = """
    [[cabinet]]
    id = "A"
    limit_a = [63, 63, 63]

    [[station]]
    id = "CP1"
    cabinet = "A"
    [[station.evse]]
    id = 1
    max_a = 32
"""


def load(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(dedent(text), encoding="utf-8")
    return Config.load(file)


def refusal(tmp_path: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    return caught.value


def test_an_empty_file_is_the_strict_default(tmp_path: Path) -> None:
    config = load(tmp_path, "")
    assert config.server.ocpp_port == 9000
    assert config.api.port == 8080
    assert config.store.path == tmp_path / "data"
    assert config.security.loosened() == ()
    assert config.site.cabinets == ()


def test_the_example_in_the_repository_loads() -> None:
    root = Path(__file__).parents[3]
    config = Config.load(root / "config.toml")
    assert config.site.groups()
    assert config.billing.default_tariff in config.tariffs


def test_a_minimal_site_loads(tmp_path: Path) -> None:
    config = load(tmp_path, SITE)
    evse = config.site.evse(StationId("CP1"), 1)
    assert evse is not None
    assert (evse.max_da, evse.min_da, evse.floor_da) == (320, 60, 0)


def test_loosened_protections_are_named(tmp_path: Path) -> None:
    config = load(tmp_path, "[security]\nallow_unauthenticated = true")
    assert config.security.loosened() == ("security.allow_unauthenticated",)


RPC = "[ledger]\nbackend = 'rpc'\nrpc_url = "


def test_a_chain_over_rpc_is_read_whole(tmp_path: Path) -> None:
    ledger = load(
        tmp_path,
        RPC + "'https://node.example:8545/v2/x'\nchain_id = 11155111\n"
        "key_file = 'keys'\nconfirmations = 3",
    ).ledger
    assert (ledger.chain_id, ledger.confirmations) == (11_155_111, 3)
    assert ledger.key_file == tmp_path.resolve() / "keys"


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("[server]\ncall_timeout = 3", "server.call_timeout", "call_timeout_s"),
        ("[servr]\nocpp_port = 3", "servr", "'server'"),
        ("[server]\nocpp_prt = 3", "server.ocpp_prt", "'ocpp_port'"),
        ("[server]\nocpp_port = 70000", "server.ocpp_port", "at most 65535"),
        ('[server]\nocpp_port = "9000"', "server.ocpp_port", "a number"),
        ("[server]\nocpp_port = 9000.5", "server.ocpp_port", "whole"),
        ("[server]\ncompression = 1", "server.compression", "true or false"),
        ("[server]\ncall_timeout_s = nan", "server.call_timeout_s", "usable"),
        ("[server]\nocpp_port = 1e999999999", "server.ocpp_port", "usable"),
        ("server = 3", "server", "table"),
        ("[cabinet]\nid = 'A'", "cabinet", "[[cabinet]]"),
        ("[ledger]\nbackend = 'rpc'", "ledger.rpc_url", "is required"),
        ("[ledger]\nrpc_url = 'http://x'", "ledger.rpc_url", 'backend = "rpc"'),
        ("[ledger]\nchain_id = 1", "ledger.chain_id", 'backend = "rpc"'),
        ("[ledger]\nkey_file = 'k'", "ledger.key_file", 'backend = "rpc"'),
        ("[ledger]\nconfirmations = 1", "ledger.confirmations", 'backend = "rpc"'),
        (RPC + "'ws://x:1'", "ledger.rpc_url", "http"),
        (RPC + "'http://'", "ledger.rpc_url", "host"),
        (RPC + "'http://x:99999'", "ledger.rpc_url", "http"),
        (RPC + "'http://[::1'", "ledger.rpc_url", "http"),
        (RPC + "'http://x'\nchain_id = 0", "ledger.chain_id", "at least 1"),
        (RPC + "'http://x'\nchain_id = '1'", "ledger.chain_id", "a number"),
        (RPC + "'http://x'\nconfirmations = -1", "ledger.confirmations", "least 0"),
        (RPC + "'http://x'\nkey = 'ab'", "ledger.key", "key_file"),
        (RPC + "'http://x'\nsettler_key = 'ab'", "ledger.settler_key", "env:NAME"),
        (RPC + "'http://x'\nsettler_key = 'env:'", "ledger.settler_key", "env:NAME"),
        (RPC + "'http://x'\nsigner_url = 'x'", "ledger.signer_url", "http"),
        (
            RPC + f"'http://x'\nanchorer_key = 'remote:0x{'ab' * 20}'",
            "ledger.anchorer_key",
            "signer_url is required",
        ),
        (
            RPC + "'http://x'\npassphrase_file = 'p'\npassphrase_env = 'P'",
            "ledger.passphrase_env",
            "passphrase_file is given",
        ),
        ("[ledger]\nsigner_url = 'http://x'", "ledger.signer_url", 'backend = "rpc"'),
        ("[ledger]\ncontracts_file = 'c'", "ledger.contracts_file", 'backend = "rpc"'),
        ("[ca]\ncert = 'x'", "ca.key", "go together"),
        ("[ca]\ncommand = 'sign'\ncert = 'x'\nkey = 'y'", "ca.command", "not both"),
        ("[ca]\ncommand = ''", "ca.command", "is empty"),
        ("[ocsp]\nallowed_responders = ['a b/']", "ocsp.allowed_responders[0]", "host"),
        (
            "[iso15118]\nprovider_url = 'http://a.example'",
            "iso15118.provider_url",
            "https",
        ),
        ("[ocpp.tls]\nport = 9443", "ocpp.tls.certificates", "required"),
        (
            "[ocpp.tls]\norganization = ''\ncertificates = [{cert = 'x', key = 'y'}]",
            "ocpp.tls.organization",
            "1 to 64",
        ),
        ("[ocpp.tls]\ncertificates = []", "ocpp.tls.certificates", "at least one"),
        (
            "[ocpp.tls]\ncertificates = [{cert = 'x'}]",
            "ocpp.tls.certificates[0].key",
            "required",
        ),
        ("[ledger]\nbackend = 'chain'", "ledger.backend", '"embedded"'),
        ("[optimizer]\nstep_s = 700", "optimizer.horizon_s", "multiple"),
        ("[optimizer]\nmode = 'cheap'", "optimizer.mode", '"economy"'),
        ("[billing]\ncurrency = 'euro'", "billing.currency", "ISO 4217"),
        ("[billing]\ndefault_tariff = 'x'", "billing.default_tariff", "'x'"),
        ("[site]\ntimezone = 'Mars/Base'", "site.timezone", "Mars/Base"),
        ("[site]\nlatitude_deg = 91", "site.latitude_deg", "at most 90"),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix(
    tmp_path: Path, text: str, key: str, hint: str
) -> None:
    error = refusal(tmp_path, text)
    assert error.key == key
    assert hint in error.problem


@pytest.mark.parametrize(
    ("line", "key", "hint"),
    [
        ("limit = [63, 63, 63]", "cabinet[0].limit", "limit_a or limit_w"),
        ("limit_ka = [1, 1, 1]", "cabinet[0].limit_ka", "limit_a or limit_w"),
        ("limit_a = [63, 63]", "cabinet[0].limit_a", "[63, 63, 63]"),
        ("limit_a = 63", "cabinet[0].limit_a", "list"),
        ("limit_a = [63, -1, 63]", "cabinet[0].limit_a[1]", "at least 0"),
        ("", "cabinet[0].limit_a", "limit_a or limit_w"),
        ('limit_w = 1000\nparent = "B"', "cabinet[0].parent", "no cabinet"),
        ('limit_w = 1000\nparent = "A"', "cabinet[0].parent", "circle"),
    ],
)
def test_a_wrong_cabinet_is_named(
    tmp_path: Path, line: str, key: str, hint: str
) -> None:
    error = refusal(tmp_path, f'[[cabinet]]\nid = "A"\n{line}\n')
    assert error.key == key
    assert hint in error.problem


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("max_a = 32", "max_a = 32\nphases = 'L1L1'", "station[0].evse[0].phases"),
        ("max_a = 32", "max_a = 32\nphases = 'RST'", "station[0].evse[0].phases"),
        ("max_a = 32", "max_a = 32.05", "station[0].evse[0].max_a"),
        ("max_a = 32", "max_a = 32\nfloor_a = 40", "station[0].evse[0].floor_a"),
        ("max_a = 32", "max_a = 32\nfloor_a = 3", "station[0].evse[0].floor_a"),
        ("max_a = 32", "max_a = 5", "station[0].evse[0].min_a"),
        ("max_a = 32", "max_a = 80\nfloor_a = 70", "cabinet[0].limit_a"),
        ("max_a = 32", "max_kw = 22", "station[0].evse[0].max_kw"),
        ("max_a = 32", "", "station[0].evse[0].max_a"),
        ("max_a = 32", "current_type = 'DC'", "station[0].evse[0].max_w"),
        ('cabinet = "A"', 'cabinet = "B"', "station[0].cabinet"),
        ('cabinet = "A"', 'password = "x"', "station[0].password"),
        ('cabinet = "A"', 'tariff_id = "x"', "station[0].tariff_id"),
        ('id = "CP1"', 'id = "CP 1"', "station[0].id"),
    ],
)
def test_a_wrong_station_is_named(tmp_path: Path, old: str, new: str, key: str) -> None:
    text = dedent(SITE)
    assert old in text
    assert refusal(tmp_path, text.replace(old, new)).key == key


def test_a_password_in_the_file_says_where_it_goes(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[[station]]\nid = "A"\npassword = "x"')
    assert "password_file" in error.problem
    assert "password_env" in error.problem


def test_limits_nest(tmp_path: Path) -> None:
    text = """
        [[cabinet]]
        id = "A"
        limit_a = [63, 63, 63]
        [[cabinet]]
        id = "B"
        parent = "A"
        limit_a = [63, 80, 63]
    """
    error = refusal(tmp_path, text)
    assert error.key == "cabinet[1].limit_a"
    assert "'A'" in error.problem
    assert load(tmp_path, text.replace("80", "63")).site.cabinets[1].parent == "A"


def test_limits_in_watt_and_ampere_nest_too(tmp_path: Path) -> None:
    text = """
        [[cabinet]]
        id = "A"
        limit_w = 40000
        [[cabinet]]
        id = "B"
        parent = "A"
        limit_a = [63, 63, 63]
    """
    assert refusal(tmp_path, text).key == "cabinet[1].limit_a"
    load(tmp_path, text.replace("40000", "43470"))


def test_the_worst_case_of_other_loads_counts_against_floors(tmp_path: Path) -> None:
    load_table = '\n[[load]]\nid = "lift"\ncabinet = "A"\nworst_case_a = 58\n'
    text = dedent(SITE).replace("max_a = 32", "max_a = 32\nfloor_a = 6")
    assert refusal(tmp_path, text + load_table).key == "cabinet[0].limit_a"
    load(tmp_path, text + load_table.replace("58", "57"))


def test_an_unmanaged_station_counts_with_its_rating(tmp_path: Path) -> None:
    text = dedent(SITE).replace('cabinet = "A"', 'cabinet = "A"\nmanaged = false')
    assert refusal(tmp_path, text.replace("32", "64")).key == "cabinet[0].limit_a"
    load(tmp_path, text)


@pytest.mark.parametrize("part", ["cabinet", "station"])
def test_an_id_occurs_once(tmp_path: Path, part: str) -> None:
    text = dedent(SITE) + f'\n[[{part}]]\nid = "{"A" if part == "cabinet" else "CP1"}"'
    text += "\nlimit_w = 1" if part == "cabinet" else ""
    error = refusal(tmp_path, text)
    assert error.key == f"{part}[1].id"


def test_loads_pv_batteries_and_feeder_meters_share_one_name_space(
    tmp_path: Path,
) -> None:
    text = dedent(SITE) + (
        '\n[[load]]\nid = "X"\ncabinet = "A"\nworst_case_a = 1'
        '\n[[pv]]\nid = "X"\ncabinet = "A"\npeak_w = 1'
    )
    assert refusal(tmp_path, text).key == "pv[0].id"


def test_evse_ids_of_a_station_differ(tmp_path: Path) -> None:
    text = dedent(SITE) + "\n[[station.evse]]\nid = 1\nmax_a = 16"
    assert refusal(tmp_path, text).key == "station[0].evse[1].id"


def test_ratings_above_the_limit_ask_for_a_feeder_meter(tmp_path: Path) -> None:
    text = dedent(SITE).replace("max_a = 32", "max_a = 80")
    assert "feeder_meter" in load(tmp_path, text).warnings[0]
    metered = text.replace('id = "A"', 'id = "A"\nfeeder_meter = "M"')
    assert load(tmp_path, metered).warnings == ()


def test_a_missing_file_and_broken_toml_are_configuration_errors(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.load(tmp_path / "none.toml")
    assert "TOML" in refusal(tmp_path, "= 3").problem
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        Config.load(tmp_path / "bad.toml")


def test_passwords_come_from_files_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "cp1").write_text("sesame-sesame-1\n", encoding="utf-8")
    (tmp_path / "cp1").chmod(0o600)
    text = """
        [[station]]
        id = "CP1"
        password_file = "cp1"
        [[station]]
        id = "CP2"
        password_env = "CP2_PASSWORD"
    """
    sources = load(tmp_path, text).password_sources
    found = passwords(sources, {"CP2_PASSWORD": "sesame-sesame-2"})
    assert found == {"CP1": b"sesame-sesame-1", "CP2": b"sesame-sesame-2"}
    with pytest.raises(ConfigError, match="CP2_PASSWORD is not set"):
        passwords(sources, {})
    (tmp_path / "cp1").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        passwords(sources, {"CP2_PASSWORD": "x"})


def test_a_tariff_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    text = """
        [[tariff]]
        id = "T"
        elements = [{ price_components = [{ type = "ENERGY", price = 0.3 }] }]
    """
    tariff = load(tmp_path, text).tariffs["T"]
    assert tariff.elements[0].price_micro_per_kwh == 300_000
    key = "tariff[0].elements[0].price_components[0].type"
    assert refusal(tmp_path, text.replace("ENERGY", "HOURS")).key == key
    mixed = text.replace('id = "T"', 'id = "T"\ncurrency = "USD"')
    assert refusal(tmp_path, mixed).key == "tariff[0].currency"
