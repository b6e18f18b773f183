"""A signed transaction is exactly what was asked, or it is refused without a crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import SignerNonsenseError
from ledger.keys import LocalSigner
from ledger.outbox import Fees
from ledger.signed_raw import Asked, check_signed

KEY = LocalSigner(bytes([9]) * 32)
FEES = Fees(max_fee_wei=3_000_000_000, priority_fee_wei=1_000_000)
PRICE = Fees(max_fee_wei=7, priority_fee_wei=7, is_legacy=True)


def asked(fees: Fees, nonce: int = 300, calldata: bytes = b"\x01\x02") -> Asked:
    return Asked(
        sender=KEY.address,
        chain_id=31_337,
        nonce=nonce,
        to="0x" + "0b" * 20,
        calldata=calldata,
        gas_limit=90_000,
        fees=fees,
    )


def signed(wish: Asked) -> tuple[bytes, bytes]:
    return KEY.sign(
        chain_id=wish.chain_id,
        nonce=wish.nonce,
        to=wish.to,
        calldata=wish.calldata,
        gas_limit=wish.gas_limit,
        fees=wish.fees,
    )


@given(
    fees=st.sampled_from([FEES, PRICE]),
    nonce=st.integers(0, 2**62),
    calldata=st.binary(max_size=300),
)
def test_what_was_asked_is_taken(fees: Fees, nonce: int, calldata: bytes) -> None:
    wish = asked(fees, nonce, calldata)
    raw, tx_hash = signed(wish)
    assert check_signed(raw, wish) == tx_hash


@pytest.mark.parametrize("fees", [FEES, PRICE])
def test_no_changed_byte_missing_byte_or_further_byte_is_taken(fees: Fees) -> None:
    wish = asked(fees)
    raw, _ = signed(wish)
    for place in range(len(raw)):
        changed = bytearray(raw)
        changed[place] ^= 1 << place % 8
        for wrong in (bytes(changed), raw[:place], raw[:place] + raw[place + 1 :]):
            with pytest.raises(SignerNonsenseError):
                check_signed(wrong, wish)
    with pytest.raises(SignerNonsenseError):
        check_signed(raw + b"\x00", wish)


@given(raw=st.binary(max_size=200), fees=st.sampled_from([FEES, PRICE]))
def test_no_bytes_crash_it(raw: bytes, fees: Fees) -> None:
    for prefix in (b"", b"\x02"):
        with pytest.raises(SignerNonsenseError):
            check_signed(prefix + raw, asked(fees))
