"""Station passwords of the configuration: what is refused, and how it is said."""

from pathlib import Path

import pytest

from gateway.config import check_passwords, passwords
from gateway.domain.ids import StationId
from gateway.errors import ConfigError

CP1 = StationId("CP1")


def secret(folder: Path, content: bytes, mode: int = 0o600) -> dict[StationId, Path]:
    path = folder / "cp1.secret"
    path.write_bytes(content)
    path.chmod(mode)
    return {CP1: path}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"7 bytes", "fewer than 8 bytes: a password has 8 to 64"),
        (b"x" * 65, "more than 64 bytes: a password has 8 to 64"),
        (b"x" * 100_000, "more than 64 bytes"),
    ],
)
def test_what_is_no_password_is_refused_with_file_and_reason(
    tmp_path: Path, content: bytes, why: str
) -> None:
    sources = secret(tmp_path, content)
    for check in (passwords, check_passwords):
        with pytest.raises(ConfigError) as caught:
            check(sources, {})
        assert caught.value.key == "station CP1.password_file"
        assert str(sources[CP1]) in caught.value.problem
        assert why in caught.value.problem
        assert "7 bytes" not in str(caught.value), "the secret itself"


@pytest.mark.parametrize("content", [b"8 bytes!", b"x" * 64, b"\n" + b"x" * 64 + b"\n"])
def test_the_shortest_and_the_longest_password_are_taken(
    tmp_path: Path, content: bytes
) -> None:
    assert passwords(secret(tmp_path, content), {}) == {CP1: content.strip()}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_password_file_open_to_others_is_refused_as_keys_are(
    tmp_path: Path, mode: int
) -> None:
    sources = secret(tmp_path, b"sesame-sesame", mode)
    with pytest.raises(ConfigError, match="open to others: chmod 600 it"):
        passwords(sources, {})
    sources[CP1].chmod(0o400)
    assert passwords(sources, {}) == {CP1: b"sesame-sesame"}


def test_a_variable_is_held_to_the_same_length() -> None:
    sources = {CP1: "CP1_PASSWORD"}
    with pytest.raises(ConfigError, match="CP1_PASSWORD is empty"):
        passwords(sources, {"CP1_PASSWORD": ""})
    with pytest.raises(ConfigError, match="fewer than 8"):
        passwords(sources, {"CP1_PASSWORD": "short"})


def test_a_variable_of_the_service_is_only_told_by_a_check() -> None:
    told = check_passwords({CP1: "CP1_PASSWORD"}, {})
    assert told == ["station CP1.password_env: CP1_PASSWORD is not set here"]
