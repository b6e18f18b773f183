"""The admin's command: one set of contracts, however often it is killed."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ledger.address_book import AddressBook, read_book
from ledger.contracts import artifact, role
from ledger.deploy import ORDER
from ledger.embedded import EmbeddedChain
from ledger.errors import (
    AddressBookError,
    ArtifactError,
    ChainUnavailableError,
    OperationFailedError,
)
from ledger.ports import Chain, Holders
from ledger.published import read_contracts
from tests.support.deployed import deployed
from tests.support.ledger_site import (
    ADMIN,
    PAUSER,
    SteppedClock,
    embedded_chain,
    fixed_signers,
)

HOLDERS = fixed_signers().holders()
TRANSACTIONS = 5 + 5 + 5
"""Contracts, roles and binding, pausers."""


class KilledError(BaseException):
    """Stands for SIGKILL: nothing in between may catch it."""


class Fused:
    """A chain whose process is killed at one of its calls."""

    def __init__(self, inner: Chain, fuse: int) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **keywords: Any) -> Any:
            self._fuse -= 1
            if self._fuse == 0:
                raise KilledError
            answer = found(*arguments, **keywords)
            if self._fuse == -1:  # done, and nobody learns of it
                raise KilledError
            return answer

        return call


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    made = embedded_chain(tmp_path, SteppedClock())
    yield made
    made.close()


def may(chain: Chain, book: AddressBook, name: str, right: str, who: str) -> bool:
    asked = artifact(name)
    call = asked.calldata("hasRole", role(right), who)
    data = chain.call(book.contracts[name].address, call)
    return bool(asked.result("hasRole", data)[0])


def test_a_deployment_that_is_killed_again_and_again_ends_with_one_set_of_contracts(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    path = tmp_path / "contracts.json"
    for fuse in count(5, 7):
        fused: Any = Fused(chain, fuse)
        with suppress(KilledError):
            deployed(fused, path, HOLDERS, admin=ADMIN)
        if path.exists():
            break
    book = read_book(path)
    assert fuse > 5 + 5 * 7, "it was killed more than five times"
    assert chain.nonce(ADMIN.address) == TRANSACTIONS
    assert set(book.contracts) == set(ORDER)
    assert may(chain, book, "StatusAnchor", "ANCHORER_ROLE", HOLDERS.anchorer)
    assert all(may(chain, book, name, "PAUSER_ROLE", PAUSER.address) for name in ORDER)


def test_the_file_is_the_one_that_verifiers_take(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    path = tmp_path / "contracts.json"
    book = deployed(chain, path, HOLDERS, admin=ADMIN)
    published = read_contracts(path)
    assert published.genesis_hash == chain.identity().genesis_hash
    for name, one in book.contracts.items():
        assert published.contracts[name].address == one.address
        assert published.contracts[name].code_sha256 == one.code_sha256
    for secret in ("0707", "key"):
        assert secret not in path.read_text(encoding="utf-8").replace("0x0707", "")


def test_repeated_it_grants_what_is_missing_and_deploys_nothing(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    path = tmp_path / "contracts.json"
    book = deployed(chain, path, HOLDERS, admin=ADMIN)
    said: list[str] = []
    assert deployed(chain, path, HOLDERS, admin=ADMIN) == book
    assert chain.nonce(ADMIN.address) == TRANSACTIONS
    (tmp_path / "contracts.json.work").unlink()  # on another machine
    other = replace(HOLDERS, settler="0x" + "5e" * 20)
    again = deployed(chain, path, other, admin=ADMIN, say=said.append)
    assert again.contracts == book.contracts
    assert chain.nonce(ADMIN.address) == TRANSACTIONS + 1
    assert may(chain, again, "Settlement", "SETTLER_ROLE", other.settler)
    assert may(chain, again, "Settlement", "SETTLER_ROLE", HOLDERS.settler)
    assert any(line.startswith("grant SETTLER_ROLE of Settlement") for line in said)
    (tmp_path / "contracts.json.work").unlink()
    stranger = fixed_signers().registrar
    wanted = replace(HOLDERS, settler="0x" + "5f" * 20)
    with pytest.raises(OperationFailedError, match="cannot grant it"):
        deployed(chain, path, wanted, admin=stranger)


def test_without_its_work_file_it_refuses_a_second_set_on_a_chain_of_others(
    chain: EmbeddedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "contracts.json"
    deployed(chain, path, HOLDERS, admin=ADMIN)
    path.unlink()
    (tmp_path / "contracts.json.work").unlink()
    monkeypatch.setattr(EmbeddedChain, "self_witnessed", False)
    with pytest.raises(ArtifactError, match="stands at"):
        deployed(chain, path, HOLDERS, admin=ADMIN)
    assert chain.nonce(ADMIN.address) == TRANSACTIONS


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def test_a_file_of_another_chain_or_of_other_contracts_is_refused(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    path = tmp_path / "contracts.json"
    deployed(chain, path, HOLDERS, admin=ADMIN)
    good = path.read_text(encoding="utf-8")
    edited(path, lambda it: it.update(chain_id=1))
    with pytest.raises(ArtifactError, match="is of chain 1:"):
        deployed(chain, path, HOLDERS, admin=ADMIN)
    path.write_text(good, encoding="utf-8")
    anchor = json.loads(good)["contracts"]["AssetRegistry"]["address"]
    edited(path, lambda it: it["contracts"]["StatusAnchor"].update(address=anchor))
    with pytest.raises(ArtifactError, match="this database works with"):
        deployed(chain, path, HOLDERS, admin=ADMIN)
    (tmp_path / "contracts.json.work").unlink()
    with pytest.raises(ArtifactError, match="StatusAnchor is not at"):
        deployed(chain, path, HOLDERS, admin=ADMIN)
    edited(path, lambda it: it["contracts"]["StatusAnchor"].update(address="0x12"))
    with pytest.raises(AddressBookError, match="not 40 hexadecimal"):
        deployed(chain, path, HOLDERS, admin=ADMIN)


def test_a_node_that_is_away_is_waited_for_and_a_second_command_is_refused(
    chain: EmbeddedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, said, away = tmp_path / "contracts.json", list[str](), [3]
    real = EmbeddedChain.send_raw

    def send_raw(self: EmbeddedChain, raw: bytes) -> None:
        if away[0]:
            away[0] -= 1
            with pytest.raises(OperationFailedError, match="another process"):
                deployed(chain, path, HOLDERS, admin=ADMIN)
            raise ChainUnavailableError("eth_sendRawTransaction: ConnectionError")
        real(self, raw)

    monkeypatch.setattr(EmbeddedChain, "send_raw", send_raw)
    monkeypatch.setattr("ledger.operating.PAUSE_S", 0.01)
    deployed(chain, path, HOLDERS, admin=ADMIN, say=said.append)
    assert "waiting: eth_sendRawTransaction: ConnectionError" in said
    assert chain.nonce(ADMIN.address) == TRANSACTIONS
    assert any(line.startswith("deploy FlexToken: final in block") for line in said)


def test_holders_may_be_one_address_and_a_publisher_of_its_own(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    one, publisher = "0x" + "aa" * 20, "0x" + "bb" * 20
    holders = Holders(
        anchorer=one, settler=one, registrar=one, publisher=publisher, pauser=one
    )
    book = deployed(chain, tmp_path / "contracts.json", holders, admin=ADMIN)
    assert may(chain, book, "AlgorithmRegistry", "PUBLISHER_ROLE", publisher)
    assert book.roles["publisher"] == publisher
