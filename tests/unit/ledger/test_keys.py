"""Keys from files, keystores and the environment; what is wrong is said, no more."""

import json
import os
from pathlib import Path

import pytest
from eth_account import Account

from ledger.errors import KeyLoadError
from ledger.key_files import read_secret
from ledger.keys import Passphrase, load

KEY = bytes([9]) * 32
ADDRESS = str(Account.from_key(KEY).address).lower()
PASSPHRASE = "correct horse"


def key_file(folder: Path, text: str, name: str = "a.key") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def keystore(**changes: object) -> str:
    made = Account.encrypt(KEY, PASSPHRASE, kdf="pbkdf2", iterations=2)
    return json.dumps({**made, **changes})


@pytest.mark.parametrize("text", [KEY.hex(), "0x" + KEY.hex() + "\n"])
def test_a_key_is_read_from_a_file_or_the_environment(
    text: str, tmp_path: Path
) -> None:
    assert load(str(key_file(tmp_path, text))).address == ADDRESS
    assert load("env:K", environment={"K": text}).address == ADDRESS


def test_a_keystore_opens_with_the_passphrase_of_a_file_or_the_environment(
    tmp_path: Path,
) -> None:
    path = str(key_file(tmp_path, keystore()))
    secret = key_file(tmp_path, PASSPHRASE + "\n", "passphrase")
    assert load(path, passphrase=Passphrase(path=secret)).address == ADDRESS
    by_name = Passphrase(variable="P")
    signer = load(path, passphrase=by_name, environment={"P": PASSPHRASE})
    assert signer.address == ADDRESS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a secp256k1 key"),
        ("zz" * 32, "not a key in hex"),
        ("00" * 32, "not a secp256k1 key"),
        ("ab" * 31, "not a secp256k1 key"),
        ("{", "nor JSON|neither"),
        ("{}", "version 3"),
        ('{"version": 4}', "version 3"),
        ('{"version": 3}', "damaged"),
        (keystore(address="11" * 20), "holds the key of"),
        (keystore(crypto={"kdf": "none"}), "damaged"),
        (keystore(crypto=[]), "damaged"),
    ],
)
def test_what_is_no_key_is_refused_by_name(
    text: str, said: str, tmp_path: Path
) -> None:
    path = key_file(tmp_path, text)
    with pytest.raises(KeyLoadError, match=said) as caught:
        load(
            str(path),
            passphrase=Passphrase(variable="P"),
            environment={"P": PASSPHRASE},
        )
    assert "a.key" in str(caught.value)


def test_a_wrong_or_missing_passphrase_is_said_without_it(tmp_path: Path) -> None:
    path = str(key_file(tmp_path, keystore()))
    by_name = Passphrase(variable="P")
    with pytest.raises(KeyLoadError, match="does not open") as caught:
        load(path, passphrase=by_name, environment={"P": "wrong horse"})
    assert "wrong horse" not in str(caught.value)
    with pytest.raises(KeyLoadError, match="P is not set"):
        load(path, passphrase=by_name, environment={})
    with pytest.raises(KeyLoadError, match="needs a passphrase"):
        load(path)


def test_no_error_holds_the_key(tmp_path: Path) -> None:
    text = KEY.hex()[:-1] + "z"
    with pytest.raises(KeyLoadError) as caught:
        load(str(key_file(tmp_path, text)))
    assert KEY.hex()[:8] not in str(caught.value)
    assert caught.value.__suppress_context__
    assert KEY.hex() not in repr(load("env:K", environment={"K": KEY.hex()}))


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NONE", "NONE is not set"),
        ("remote:0x12", "not an address"),
        ("/none/at/all", "cannot be read"),
    ],
)
def test_a_reference_to_nothing_is_an_error(reference: str, said: str) -> None:
    with pytest.raises(KeyLoadError, match=said):
        load(reference, environment={}, signer_url="http://127.0.0.1:9")


def test_a_remote_key_needs_the_address_of_its_signer() -> None:
    with pytest.raises(KeyLoadError, match="address of the signer"):
        load("remote:0x" + "ab" * 20)
    signer = load("remote:0x" + "AB" * 20, signer_url="http://127.0.0.1:9")
    assert signer.address == "0x" + "ab" * 20


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_may_open_is_refused(mode: int, tmp_path: Path) -> None:
    path = key_file(tmp_path, KEY.hex())
    path.chmod(mode)
    with pytest.raises(KeyLoadError, match="chmod 600"):
        read_secret(path)


@pytest.mark.parametrize(
    ("mode", "is_refused"),
    [(0o700, False), (0o755, False), (0o770, True), (0o777, True), (0o1777, False)],
)
def test_a_folder_in_which_others_could_replace_the_file_is_refused(
    mode: int, is_refused: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    path = key_file(folder, KEY.hex())
    folder.chmod(mode)
    if not is_refused:
        assert read_secret(path) == KEY.hex()
        return
    with pytest.raises(KeyLoadError, match="chmod go-w its folder"):
        read_secret(path)
    link = tmp_path / "link.key"
    link.symlink_to(path)
    with pytest.raises(KeyLoadError, match="chmod go-w its folder"):
        read_secret(link)


def test_a_file_or_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = key_file(tmp_path, KEY.hex())
    monkeypatch.setattr(os, "geteuid", lambda: 4_242)
    if path.stat().st_uid:
        with pytest.raises(KeyLoadError, match="not to 4242: chown"):
            read_secret(path)
    real = os.fstat

    def of_another(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[4] = 1_234
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", of_another)
    with pytest.raises(KeyLoadError, match="belongs to user 1234"):
        read_secret(path)


def test_neither_a_pipe_nor_a_huge_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyLoadError, match="not a regular file"):
        read_secret(tmp_path / "pipe")
    with pytest.raises(KeyLoadError, match="larger than"):
        read_secret(key_file(tmp_path, "0" * 70_000))
    path = key_file(tmp_path, "")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(KeyLoadError, match="not a key"):
        read_secret(path)
