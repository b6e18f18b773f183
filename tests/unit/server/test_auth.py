"""What stations put into URLs and headers is read kindly and checked strictly."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StartupError
from gateway.server.auth import BadCredentialsError, parse_basic, station_id_of
from gateway.services.credentials import Pepper

PEPPER = Pepper(b"p" * 32)


@pytest.mark.parametrize(
    ("path", "station_id"),
    [
        ("/ocpp/CP1", "CP1"),
        ("//CP1", "CP1"),
        ("/ocpp/CP1/", "CP1"),
        ("/some/prefix/ocpp/CP%3A1", "CP:1"),
        ("ws://host:9000/ocpp/CP1?token=x", "CP1"),
        ("/ocpp/", "ocpp"),
        ("/", None),
        ("/ocpp/%2e%2e", None),
        ("/ocpp/a%2Fb", None),
        ("/ocpp/a%00b", None),
        ("/ocpp/caf%C3%A9", None),
        ("/ocpp/" + "x" * 49, None),
        ("/ocpp/" + "x" * 4000, None),
        ("http://[", None),
    ],
)
def test_the_last_segment_names_the_station(path: str, station_id: str | None) -> None:
    assert station_id_of(path) == station_id


def basic(user: bytes, password: bytes) -> str:
    return "Basic " + base64.b64encode(user + b":" + password).decode()


@given(st.binary(max_size=40))
def test_a_password_may_hold_any_bytes(password: bytes) -> None:
    read = parse_basic(basic(b"CP1", password))
    assert read is not None
    assert (read.user, read.password) == ("CP1", password)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer abc",
        "Basic !!!",
        "Basic " + base64.b64encode(b"nocolon").decode(),
        basic(b"\xff\xfe", b"x"),
    ],
)
def test_an_unreadable_header_is_named_so(header: str) -> None:
    with pytest.raises(BadCredentialsError):
        parse_basic(header)


def test_no_header_is_no_credentials() -> None:
    assert parse_basic(None) is None


@given(password=st.binary(min_size=8, max_size=40), flip=st.integers(0, 7))
def test_only_the_password_of_that_station_matches(password: bytes, flip: int) -> None:
    stored = PEPPER.hash_password("CP1", password)
    assert PEPPER.matches("CP1", password, stored)
    assert not PEPPER.matches("CP2", password, stored)
    wrong = bytes([password[0] ^ (1 << flip)]) + password[1:]
    assert not PEPPER.matches("CP1", wrong, stored)
    assert password.hex() not in stored


def test_a_key_set_as_bytes_may_come_back_as_hexadecimal() -> None:
    key = bytes(range(20))
    stored = PEPPER.hash_password("CP1", key)
    assert PEPPER.matches("CP1", key.hex().encode(), stored)
    assert PEPPER.matches("CP1", key.hex().upper().encode(), stored)
    stored_text = PEPPER.hash_password("CP1", key.hex().encode())
    assert PEPPER.matches("CP1", key, stored_text)


def test_a_pepper_is_made_once_and_refused_when_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "pepper"
    first = Pepper.load(path)
    assert Pepper.load(path) == first
    path.chmod(0o644)
    with pytest.raises(StartupError, match="chmod 600"):
        Pepper.load(path)
