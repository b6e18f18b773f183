"""The escrow with a real ERC-20 token: deployed, locked, settled, collected, claimed.

``tests/support/coin.json`` is `contracts/test/Coins.sol` compiled as the contracts are.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from ledger.__main__ import main
from ledger.clock import SystemClock
from ledger.contracts import Artifact, artifact
from ledger.keys import LocalSigner
from ledger.ports import Chain, Signer
from ledger.published import read_contracts
from ledger.settle import SettlementWay
from ledger.verify import Check, Verdict, verify
from tests.support.ledger_site import (
    ADMIN,
    Site,
    SteppedClock,
    embedded_chain,
    make_site,
)

COIN_FILE = Path(__file__).parents[2] / "support" / "coin.json"
UNITS = 10_000
COST = 713 * UNITS
MAXIMUM = 10_000_000
DRIVER_KEY, PAYEE_KEY = bytes([9]) * 32, bytes([8]) * 32
DRIVER, PAYEE = LocalSigner(DRIVER_KEY), LocalSigner(PAYEE_KEY)
Run = Callable[..., tuple[int, str, str]]


def coin() -> Artifact:
    raw = json.loads(COIN_FILE.read_text())
    return Artifact(
        name="Coin",
        release=1,
        abi=raw["abi"],
        creation_code=bytes.fromhex(raw["bytecode"].removeprefix("0x")),
        runtime_code=b"",
    )


def send(chain: Chain, signer: Signer, to: str | None, data: bytes) -> str | None:
    raw, tx_hash = signer.sign(
        chain_id=chain.identity().chain_id,
        nonce=chain.nonce(signer.address),
        to=to,
        calldata=data,
        gas_limit=3_000_000,
        fees=chain.fees(),
    )
    chain.send_raw(raw)
    receipt = chain.receipt(tx_hash)
    assert receipt is not None
    assert receipt.succeeded
    return receipt.contract_address


@dataclass
class Market:
    """A site whose chain has a token and an escrow.

    Attributes:
        run: The command, with this chain and these contracts.
    """

    site: Site
    token: str
    escrow: str
    run: Run

    def open(self) -> None:
        """Open site and chain; commands work while they are closed."""
        self.site.conn.close()
        bills = self.site.bills
        self.site = make_site(
            self.site.folder, clock=self.site.clock, way=SettlementWay.BATCH
        )
        self.site.bills.update(bills)
        self.site.worker.step(self.site.clock.advance(1))

    def close(self) -> None:
        self.site.chain.close()  # type: ignore[attr-defined]  # embedded

    def asked(self, name: str, *arguments: object, of: str | None = None) -> Any:
        binding = coin() if of else artifact("Escrow")
        data = self.site.chain.call(
            of or self.escrow, binding.calldata(name, *arguments)
        )
        return binding.result(name, data)[0]

    def payment(self, session_id: str) -> Check:
        receipt = json.dumps(self.site.receipt(session_id)).encode()
        contracts = read_contracts(self.site.folder / "contracts.json")
        chain = self.site.folder / "chain.db"
        report = verify(receipt, chain_path=chain, contracts=contracts)
        assert report.verdict is Verdict.SELF_WITNESSED
        (found,) = [one for one in report.checks if one.name == "payment"]
        return found


@pytest.fixture
def market(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Market:
    clock = SteppedClock(at=SystemClock().now())
    own = [ADMIN, DRIVER, PAYEE]
    chain = embedded_chain(tmp_path, clock, also=[one.address for one in own])
    site = make_site(tmp_path, chain=chain, clock=clock, way=SettlementWay.BATCH)
    site.worker.step(clock.at)
    token = send(chain, ADMIN, None, coin().creation_code)
    assert token is not None
    give = coin().calldata("give", DRIVER.address, 2 * MAXIMUM)
    send(chain, ADMIN, token, give)
    chain.close()
    for name, key in (("ADMIN", bytes([7]) * 31 + b"\x01"), ("PAYEE", PAYEE_KEY)):
        monkeypatch.setenv(name, key.hex())

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(one) for one in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    book, database = tmp_path / "contracts.json", tmp_path / "gateway.db"
    assert run("contracts", "--database", database, "--out", book)[0] == 0
    holders = site.signers.holders()
    roles = [
        f"--{role}={getattr(holders, role)}"
        for role in ("anchorer", "settler", "registrar", "pauser")
    ]
    deploy = (
        *("deploy", "--chain", tmp_path / "chain.db", "--admin-key", "env:ADMIN"),
        *(*roles, "--out", book, "--escrow", token, "--payee", PAYEE.address),
    )
    before = json.loads(book.read_text())["contracts"]
    for _ in range(2):  # a second time changes nothing
        code, _, err = run(*deploy)
        assert code == 0, err
    after = json.loads(book.read_text())["contracts"]
    escrow = after.pop("Escrow")["address"]
    assert after == before
    made = Market(site=site, token=token, escrow=escrow, run=run)
    made.open()
    return made


def deposit_with_permit(market: Market, amount: int) -> None:
    """What the driver's wallet does: a signature, which anyone sends."""
    deadline = 2**40
    domain = {
        "name": "Coin",
        "version": "1",
        "chainId": market.site.chain.identity().chain_id,
        "verifyingContract": market.token,
    }
    names = ("owner", "spender", "value", "nonce", "deadline")
    kinds = ("address", "address", "uint256", "uint256", "uint256")
    types = {
        "Permit": [
            {"name": name, "type": kind}
            for name, kind in zip(names, kinds, strict=True)
        ]
    }
    values = (DRIVER.address, market.escrow, amount, 0, deadline)
    message = dict(zip(names, values, strict=True))
    signed = Account.sign_message(encode_typed_data(domain, types, message), DRIVER_KEY)
    r, s = signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")
    data = artifact("Escrow").calldata(
        "depositWithPermit", DRIVER.address, amount, deadline, signed.v, r, s
    )
    send(market.site.chain, PAYEE, market.escrow, data)


def test_a_session_is_locked_settled_collected_and_claimed(market: Market) -> None:
    folder = market.site.folder
    chain = ("--chain", folder / "chain.db", "--contracts", folder / "contracts.json")
    deposit_with_permit(market, MAXIMUM + 5)
    market.site.begin("s-1")
    market.close()
    lock_once(market, chain)
    market.open()
    assert market.asked("depositOf", DRIVER.address) == 5
    market.site.settle("s-1")
    market.site.add_session("s-2")
    market.site.worker.step(market.site.clock.advance(1000))
    found = market.payment("s-1")
    assert (found.verdict, found.is_claimed) == (Verdict.UNCHECKED, False)
    receipt = folder / "receipt.json"
    for name in ("s-2", "s-1"):
        receipt.write_text(json.dumps(market.site.receipt(name)))
        market.close()
        code, out, err = market.run(
            *("escrow", "collect", receipt, *chain, "--key", "env:ADMIN"),
            *("--user", DRIVER.address),
        )
        market.open()
        if name == "s-2":  # nobody locked for it: it stays postpaid
            assert (code, "EscrowPaymentState" in err) == (1, True)
        else:
            assert (code, out) == (0, f"claimable {COST}\n"), err
    assert market.asked("depositOf", DRIVER.address) == MAXIMUM + 5 - COST
    found = market.payment("s-1")
    assert found.verdict is Verdict.SELF_WITNESSED
    assert f"{COST} of {COST} units were paid to {PAYEE.address}" in found.reason
    assert market.payment("s-2").is_claimed is False
    market.close()
    claim_once(market, chain)
    market.open()
    rest = MAXIMUM + 5 - COST
    data = artifact("Escrow").calldata("withdraw", DRIVER.address, rest)
    send(market.site.chain, DRIVER, market.escrow, data)
    assert market.asked("balanceOf", PAYEE.address, of=market.token) == COST
    assert market.asked("totalOwed") == 0
    market.close()
    market.site.conn.close()


def lock_once(market: Market, chain: tuple[object, ...]) -> None:
    """The driver signs what the command prints; the operator sends it, twice."""
    folder = market.site.folder
    asked = (
        *("escrow", "terms", "--contracts", folder / "contracts.json"),
        *("--database", folder / "gateway.db", "--session", "s-1"),
        *("--user", DRIVER.address, "--max-amount", MAXIMUM),
    )
    code, terms, err = market.run(*asked)
    assert code == 0, err
    path = folder / "terms.json"
    path.write_text(terms)
    signable = encode_typed_data(full_message=json.loads(terms))
    signature = Account.sign_message(signable, DRIVER_KEY).signature.hex()
    lock = ("escrow", "lock", path, *chain, "--key", "env:PAYEE", "--signature")
    forged = Account.sign_message(signable, PAYEE_KEY).signature.hex()
    code, _, err = market.run(*lock, forged)
    assert (code, "EscrowSignatureInvalid" in err) == (1, True)
    for _ in range(2):  # a second time does nothing
        code, _, err = market.run(*lock, signature)
        assert code == 0, err


def claim_once(market: Market, chain: tuple[object, ...]) -> None:
    """The operator alone claims, and once."""
    claim = ("escrow", "claim", *chain, "--key")
    code, _, err = market.run(*claim, "env:ADMIN")
    assert (code, "only 0x" in err) == (1, True)
    code, out, err = market.run(*claim, "env:PAYEE")
    assert (code, out) == (0, f"claimed {COST}\n"), err
    code, _, err = market.run(*claim, "env:PAYEE")
    assert (code, "EscrowNothingToClaim" in err) == (1, True)


def test_an_escrow_that_cannot_be_is_one_line(market: Market) -> None:
    folder = market.site.folder
    market.close()
    code, _, err = market.run(
        *("escrow", "terms", "--contracts", folder / "contracts.json"),
        *("--database", folder / "gateway.db", "--session", "nobody"),
        *("--user", DRIVER.address, "--max-amount", 1),
    )
    assert (code, "nobody has no start leaf" in err) == (1, True)
    code, _, err = market.run(
        *("escrow", "claim", "--chain", folder / "chain.db", "--key", "env:PAYEE"),
        *("--contracts", folder / "none.json"),
    )
    assert (code, "cannot be read" in err) == (1, True)
    market.site.conn.close()
