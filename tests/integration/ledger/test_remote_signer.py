"""A key at a signer service: what comes back is exactly what was asked, or refused."""

import threading
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest
import rlp

from ledger.errors import SignerNonsenseError, SignerUnavailableError
from ledger.keys import LocalSigner
from ledger.outbox import Fees
from ledger.signer_http import RemoteSigner
from tests.support.rpc_server import error, result
from tests.support.signer_service import OTHER, SignerService, running_signer

KEY = LocalSigner(bytes([9]) * 32)
CHAIN_ID = 31_337
FEES = Fees(max_fee_wei=3_000_000_000, priority_fee_wei=1_000_000)
PRICE = Fees(max_fee_wei=7, priority_fee_wei=7, is_legacy=True)
ASKED: dict[str, Any] = {
    "chain_id": CHAIN_ID,
    "nonce": 300,
    "to": "0x" + "0b" * 20,
    "calldata": b"\x01\x02",
    "gas_limit": 90_000,
    "fees": FEES,
}
ORDER = 2 * 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0 + 1


@pytest.fixture
def service() -> Iterator[SignerService]:
    with running_signer(KEY, chain_id=CHAIN_ID) as (running, _server):
        yield running


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"nonce": 0},
        {"to": None},
        {"calldata": b""},
        {"fees": PRICE},
        {"fees": PRICE, "nonce": 0, "to": None},
    ],
)
def test_what_the_service_signs_is_what_the_key_itself_would_sign(
    more: dict[str, Any], service: SignerService
) -> None:
    signer = RemoteSigner(service.url, KEY.address)
    asked = {**ASKED, **more}
    assert signer.sign(**asked) == KEY.sign(**asked)
    assert service.asked[-1]["from"] == signer.address == KEY.address
    assert ("to" in service.asked[-1]) is (asked["to"] is not None)


def test_an_answer_with_the_parsed_form_beside_it_is_taken(
    service: SignerService,
) -> None:
    raw, tx_hash = KEY.sign(**ASKED)
    service.says = result({"raw": "0x" + raw.hex(), "tx": {"nonce": "0x1"}})
    assert RemoteSigner(service.url, KEY.address).sign(**ASKED) == (raw, tx_hash)


@pytest.mark.parametrize(
    ("fees", "changes", "said"),
    [
        (FEES, {"fees": PRICE}, "another type"),
        (PRICE, {"fees": FEES}, "not a transaction"),
        *(
            (fees, changes, said)
            for fees in (FEES, PRICE)
            for changes, said in (
                ({"nonce": 301}, "the nonce was changed"),
                ({"chain_id": 1}, "chain"),
                ({"to": "0x" + "0c" * 20}, "the receiver was changed"),
                ({"to": None}, "the receiver was changed"),
                ({"calldata": b"\x01\x03"}, "the data was changed"),
                ({"gas_limit": 90_001}, "the gas limit was changed"),
            )
        ),
    ],
)
def test_whatever_is_changed_is_found_and_named(
    fees: Fees, changes: dict[str, Any], said: str, service: SignerService
) -> None:
    service.changes = changes
    with pytest.raises(SignerNonsenseError, match=said):
        RemoteSigner(service.url, KEY.address).sign(**{**ASKED, "fees": fees})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"value": 1}, "the value was changed"),
        (
            {"fees": Fees(max_fee_wei=FEES.max_fee_wei + 1, priority_fee_wei=10**6)},
            "the highest fee was changed",
        ),
        (
            {"fees": Fees(max_fee_wei=FEES.max_fee_wei, priority_fee_wei=10**6 + 1)},
            "the priority fee was changed",
        ),
    ],
)
def test_a_changed_value_or_fee_is_found_and_named(
    changes: dict[str, Any], said: str, service: SignerService
) -> None:
    service.changes = changes
    with pytest.raises(SignerNonsenseError, match=said):
        RemoteSigner(service.url, KEY.address).sign(**ASKED)


def test_the_signature_of_another_key_is_refused(service: SignerService) -> None:
    service.signed_by = OTHER
    with pytest.raises(SignerNonsenseError, match=f"key of {OTHER.address}"):
        RemoteSigner(service.url, KEY.address).sign(**ASKED)


def test_a_key_that_the_service_does_not_have_is_refused_in_its_words(
    service: SignerService,
) -> None:
    with pytest.raises(SignerNonsenseError, match="not an unlocked account"):
        RemoteSigner(service.url, OTHER.address).sign(**ASKED)


def forged(**changes: int) -> bytes:
    """Our transaction with another signature: parity, r or s; or an access list."""
    raw, _ = KEY.sign(**ASKED)
    items = rlp.decode(raw[1:])
    for place, name in ((-3, "parity"), (-2, "r"), (-1, "s")):
        if name in changes:
            number = changes[name]
            items[place] = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if "access" in changes:
        items[8] = [[b"\x01" * 20, []]]
    return result("0x02" + rlp.encode(items).hex())


def high_s() -> bytes:
    raw, _ = KEY.sign(**ASKED)
    items = rlp.decode(raw[1:])
    parity = int.from_bytes(items[-3], "big")
    return forged(s=ORDER - int.from_bytes(items[-1], "big"), parity=1 - parity)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"not JSON", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "no raw transaction"),
        (b"[" * 100_000, "not JSON"),
        (result(None), "no raw transaction"),
        (result("0xzz"), "no raw transaction"),
        (result("02"), "no raw transaction"),
        (result("0x"), "another type"),
        (result("0x02"), "not a transaction"),
        (result("0x02c0"), "not a transaction"),
        (result("0x02" + "ff" * 200), "not a transaction"),
        (result({"tx": {}}), "no raw transaction"),
        (error("locked\n\x1b[2J"), "refused: locked"),
        (forged(parity=2), "signature"),
        (forged(r=0), "signature"),
        (forged(s=0), "out of range"),
        (forged(r=2**256 + 5), "signature"),
        (forged(access=1), "access list was changed"),
        (high_s(), "out of range"),
    ],
)
def test_garbage_is_refused(said: bytes, words: str, service: SignerService) -> None:
    service.says = said
    with pytest.raises(SignerNonsenseError, match=words) as caught:
        RemoteSigner(service.url, KEY.address).sign(**ASKED)
    assert str(caught.value).isprintable()


def test_leading_zeros_that_nodes_refuse_are_refused(service: SignerService) -> None:
    raw, _ = KEY.sign(**ASKED)
    items = rlp.decode(raw[1:])
    items[-3] = b"\x00" + items[-3]
    service.says = result("0x02" + rlp.encode(items).hex())
    with pytest.raises(SignerNonsenseError, match="not encoded as nodes demand"):
        RemoteSigner(service.url, KEY.address).sign(**ASKED)


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_an_http_error_means_that_it_is_away(
    status: int, service: SignerService
) -> None:
    service.says = status
    with pytest.raises(SignerUnavailableError, match=f"HTTP {status}"):
        RemoteSigner(service.url, KEY.address).sign(**ASKED)


def test_an_answer_without_end_is_broken_off(service: SignerService) -> None:
    service.says = lambda: repeat(b"x" * 65_536)
    with pytest.raises(SignerUnavailableError, match="does not answer"):
        RemoteSigner(service.url, KEY.address).sign(**ASKED)


def test_a_service_that_is_slow_or_gone_is_away_and_its_address_stays_secret(
    service: SignerService,
) -> None:
    release = threading.Event()
    service.says = lambda: release.wait(20) and None
    port = service.url.rpartition(":")[2]
    slow = RemoteSigner(
        f"http://user:hidden@127.0.0.1:{port}", KEY.address, timeout_s=0.2
    )
    with pytest.raises(SignerUnavailableError, match="does not answer") as caught:
        slow.sign(**ASKED)
    release.set()
    assert "hidden" not in str(caught.value)
    gone = RemoteSigner("http://user:hidden@127.0.0.1:9", KEY.address)
    with pytest.raises(SignerUnavailableError, match="does not answer") as caught:
        gone.sign(**ASKED)
    assert "hidden" not in str(caught.value)
