"""A signer service over real HTTP: signs with a test key, or misbehaves by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.keys import LocalSigner
from ledger.outbox import Fees
from tests.support.rpc_server import RpcServer, error, result, running_rpc

OTHER: Final = LocalSigner(bytes([8]) * 32)


@dataclass
class SignerService:
    """What it does next; ``None``: sign as it was asked."""

    keys: dict[str, LocalSigner]
    chain_id: int
    changes: dict[str, Any] = field(default_factory=dict)
    says: Any = None
    signed_by: LocalSigner | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, params: list[object]) -> Any:
        """Answer as Web3Signer would: with the chain id of its own settings."""
        assert method == "eth_signTransaction"
        (fields,) = params
        assert isinstance(fields, dict)
        self.asked.append(fields)
        if self.says is not None:
            return self.says() if callable(self.says) else self.says
        signer = self.signed_by or self.keys.get(fields["from"])
        if signer is None:
            return error("Signing from address is not an unlocked account")
        return result("0x" + sign(signer, self.form(fields)).hex())

    def form(self, fields: dict[str, Any]) -> dict[str, Any]:
        """What will be signed."""
        is_legacy = "gasPrice" in fields
        most = fields["gasPrice"] if is_legacy else fields["maxFeePerGas"]
        tip = fields.get("maxPriorityFeePerGas", most)
        asked = {
            "chain_id": self.chain_id,
            "nonce": int(fields["nonce"], 16),
            "to": fields.get("to"),
            "calldata": bytes.fromhex(fields["data"].removeprefix("0x")),
            "gas_limit": int(fields["gas"], 16),
            "fees": Fees(
                max_fee_wei=int(most, 16),
                priority_fee_wei=int(tip, 16),
                is_legacy=is_legacy,
            ),
        }
        return {**asked, **self.changes}


def sign(signer: LocalSigner, form: dict[str, Any]) -> bytes:
    """Sign, with whatever else than a `Signer` can say, as a value."""
    value = form.pop("value", 0)
    if not value:
        return signer.sign(**form)[0]
    fees = form["fees"]
    fields = {
        "type": 2,
        "chainId": form["chain_id"],
        "nonce": form["nonce"],
        "value": value,
        "data": form["calldata"],
        "gas": form["gas_limit"],
        "maxFeePerGas": fees.max_fee_wei,
        "maxPriorityFeePerGas": fees.priority_fee_wei,
        "to": bytes.fromhex(form["to"].removeprefix("0x")),
    }
    return bytes(signer._account.sign_transaction(fields).raw_transaction)


@contextmanager
def running_signer(
    *keys: LocalSigner, chain_id: int
) -> Iterator[tuple[SignerService, RpcServer]]:
    """Serve these keys on 127.0.0.1 until the end of the block."""
    service = SignerService({key.address: key for key in keys}, chain_id)
    with running_rpc(service.answer) as server:
        service.url = server.url
        yield service, server
