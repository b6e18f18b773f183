"""Contract chains come from cars: no byte of one may do more than be refused."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.clock import SystemClock
from gateway.config import OcspConfig
from gateway.domain.ids import IdToken, StationId
from gateway.ocpp.inquiries import ContractAnswered, ContractPresented, ContractStatus
from gateway.services.contracts15118 import Contracts
from gateway.services.ocsp import OcspClient
from tests.support import forgery, pki

ROOT = pki.root("MO root")
SUB = pki.issue("MO sub", issuer=ROOT, is_ca=True)
CN = "DEABCC123456789"
LEAF = pki.issue(CN, issuer=SUB)
CHAIN = LEAF.pem + SUB.pem


def contracts() -> Contracts:
    clock = SystemClock()
    ocsp = OcspClient(OcspConfig(), issuers=(), clock=clock)
    return Contracts(roots=[ROOT.certificate], ocsp=ocsp, clock=clock)


async def judged(chain: str | None, token: str = CN) -> ContractStatus:
    presented = ContractPresented(token=IdToken(value=token, kind="eMAID"), chain=chain)
    found = await contracts().answer(StationId("CP"), presented)
    assert found is not None
    assert isinstance(found.finding, ContractAnswered)
    return found.finding.status


async def test_the_untouched_chain_holds_in_any_order_of_the_rest() -> None:
    assert await judged(CHAIN) is ContractStatus.ACCEPTED
    assert await judged(LEAF.pem + ROOT.pem + SUB.pem) is ContractStatus.ACCEPTED
    assert await judged(SUB.pem + LEAF.pem) is ContractStatus.CHAIN_ERROR
    assert await judged(LEAF.pem) is ContractStatus.CHAIN_ERROR


@pytest.mark.parametrize(
    ("token", "holds"),
    [
        ("DE-ABC-C12345678-9", True),
        ("deabcC123456789", True),
        ("DEABCC12345678", True),
        ("DEABCC123456780", True),
        ("DEABCC12345679", False),
        ("DEABCC1234567", False),
        ("DEABCC1234567890", False),
        ("", False),
    ],
)
async def test_the_name_is_the_emaid_whatever_its_separators_and_check_digit(
    token: str, holds: bool
) -> None:
    wanted = ContractStatus.ACCEPTED if holds else ContractStatus.CHAIN_ERROR
    assert await judged(CHAIN, token) is wanted


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
async def test_a_chain_with_any_byte_of_its_leaf_changed_is_refused(
    data: st.DataObject,
) -> None:
    raw = bytearray(LEAF.certificate.public_bytes(serialization.Encoding.DER))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    text = pki.pem_block("CERTIFICATE", bytes(raw))
    assert await judged(text + SUB.pem) is not ContractStatus.ACCEPTED


@pytest.mark.parametrize("serial", [0, -1, -(1 << 159)])
async def test_a_chain_with_a_serial_number_that_is_not_positive_is_refused(
    serial: int,
) -> None:
    _, leaf = forgery.with_serial(LEAF.certificate, SUB.key, serial)
    assert await judged(leaf + SUB.pem) is ContractStatus.CHAIN_ERROR
    _, sub = forgery.with_serial(SUB.certificate, ROOT.key, serial)
    assert await judged(LEAF.pem + sub) is ContractStatus.CHAIN_ERROR


async def test_a_second_form_of_a_signature_is_refused() -> None:
    """One change in 80 000 that a search over bytes finds once in a long while."""
    leaf = forgery.with_bits_to_spare(LEAF.certificate, SUB.key)
    assert await judged(leaf + SUB.pem) is ContractStatus.CHAIN_ERROR


async def test_too_many_cas_below_one_another_are_refused() -> None:
    narrow = pki.issue("Narrow", issuer=ROOT, is_ca=True, path_length=0)
    below = pki.issue("Below", issuer=narrow, is_ca=True)
    leaf = pki.issue(CN, issuer=below)
    chain = leaf.pem + below.pem + narrow.pem
    assert await judged(chain) is ContractStatus.CHAIN_ERROR
    direct = pki.issue(CN, issuer=narrow)
    assert await judged(direct.pem + narrow.pem) is ContractStatus.ACCEPTED


async def test_a_critical_extension_that_nobody_knows_is_refused() -> None:
    odd = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"
    )
    leaf = pki.issue(CN, issuer=SUB, extra=odd, extra_is_critical=True)
    assert await judged(leaf.pem + SUB.pem) is ContractStatus.CHAIN_ERROR
    leaf = pki.issue(CN, issuer=SUB, extra=odd)
    assert await judged(leaf.pem + SUB.pem) is ContractStatus.ACCEPTED
