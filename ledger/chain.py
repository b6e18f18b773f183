"""Any EVM chain over JSON-RPC.

The provider of web3 carries the bytes; what comes back is checked here, field by field,
since a node behind a proxy can answer anything. PoA chains need no special treatment:
no block header is validated, only read.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, cast

import requests
from hexbytes import HexBytes
from web3 import HTTPProvider
from web3.types import RPCEndpoint

from ledger.bounded_http import bounded_session
from ledger.errors import (
    ChainNonsenseError,
    ChainUnavailableError,
    ContractRevertedError,
    Refusal,
    TransactionRefusedError,
    WrongChainError,
)
from ledger.outbox import Fees
from ledger.ports import ChainIdentity, LogEntry, Receipt

HASH_BYTES: Final = 32
MAX_QUANTITY: Final = 2**62
"""Above any block, nonce, gas or fee that a chain has, and below what SQLite stores."""
MIN_TIP_WEI: Final = 1_000_000
GAS_MARGIN_PERMILLE: Final = 1250
FALLBACK_CONFIRMATIONS: Final = 64
"""Two epochs: how deep counts as final where a node does not know ``finalized``."""

_KNOWN_ALREADY: Final = ("already known", "already imported", "known transaction")
_REFUSALS: Final = (
    ("nonce too low", Refusal.NONCE_TOO_LOW),
    ("nonce is too low", Refusal.NONCE_TOO_LOW),
    ("oldnonce", Refusal.NONCE_TOO_LOW),
    ("nonce too high", Refusal.NONCE_TOO_HIGH),
    ("nonce gap", Refusal.NONCE_TOO_HIGH),
    ("insufficient funds", Refusal.NO_FUNDS),
    ("underpriced", Refusal.UNDERPRICED),
    ("less than block base fee", Refusal.UNDERPRICED),
    ("fee too low", Refusal.UNDERPRICED),
    ("feetoolow", Refusal.UNDERPRICED),
)


class JsonRpcChain:
    """An EVM node at a URL; satisfies `ledger.ports.Chain`."""

    def __init__(
        self,
        url: str,
        *,
        chain_id: int | None = None,
        timeout_s: float = 10.0,
        confirmations: int | None = None,
    ) -> None:
        """Remember where the node is; nothing is sent yet.

        Args:
            url: HTTP address of the JSON-RPC endpoint.
            chain_id: The chain that must be there; ``None`` takes any.
            timeout_s: For connecting, and for reading an answer; real seconds.
            confirmations: Blocks on top that make a block final; ``None`` asks the
                chain for its ``finalized`` block.
        """
        self._session = bounded_session(within_s=timeout_s, monotonic=time.monotonic)
        self._provider = HTTPProvider(
            url,
            session=self._session,
            request_kwargs={"timeout": timeout_s},
            exception_retry_configuration=None,
        )
        self._expected_chain_id = chain_id
        self._confirmations = confirmations
        self._identity: ChainIdentity | None = None

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    @property
    def self_witnessed(self) -> bool:
        """Return ``False``: others can ask this chain too."""
        return False

    def identity(self) -> ChainIdentity:
        """Return chain id and genesis hash; asked anew after the node was away.

        Raises:
            WrongChainError: It is not the chain that was asked for.
        """
        if self._identity is None:
            chain_id = _quantity(self._ask("eth_chainId"))
            expected = self._expected_chain_id
            if expected is not None and chain_id != expected:
                raise WrongChainError(
                    f"the node serves chain {chain_id}, not {expected} as configured"
                )
            genesis = self._block("0x0")
            self._identity = ChainIdentity(
                chain_id=chain_id, genesis_hash=_hash(genesis.get("hash"))
            )
        return self._identity

    def latest_block(self) -> int:
        """Return the number of the newest block."""
        return _quantity(self._ask("eth_blockNumber"))

    def final_block(self) -> int:
        """Return the newest final block; -1 for none."""
        if self._confirmations is None:
            try:
                return _quantity(self._block("finalized").get("number"))
            except ChainNonsenseError:
                return max(self.latest_block() - FALLBACK_CONFIRMATIONS, -1)
        return max(self.latest_block() - self._confirmations, -1)

    def nonce(self, address: str, *, block: int | None = None) -> int:
        """Return the number of mined transactions of an address."""
        at = "latest" if block is None else hex(max(block, 0))
        return _quantity(self._ask("eth_getTransactionCount", address, at))

    def pending_nonce(self, address: str) -> int:
        """Return the same with what the node has in its pool."""
        return _quantity(self._ask("eth_getTransactionCount", address, "pending"))

    def events(
        self, addresses: Sequence[str], topic: bytes, *, from_block: int
    ) -> list[LogEntry]:
        """Return the events of one kind that contracts emitted from a block on.

        Nodes bound how much they list: for commands of an operator, not for daily work.
        """
        wanted = {
            "address": list(addresses),
            "topics": [_hex(topic)],
            "fromBlock": hex(from_block),
            "toBlock": "latest",
        }
        found = self._ask("eth_getLogs", wanted)
        if not isinstance(found, list):
            raise ChainNonsenseError("eth_getLogs: not a list")
        return [_log_entry(item) for item in found]

    def code(self, address: str) -> bytes:
        """Return the code at an address."""
        return _data(self._ask("eth_getCode", address, "latest"))

    def call(self, to: str, calldata: bytes) -> bytes:
        """Call a view on the newest block."""
        fields = {"to": to, "data": _hex(calldata)}
        return _data(self._ask("eth_call", fields, "latest"))

    def gas_limit(self, sender: str, to: str | None, calldata: bytes) -> int:
        """Return the node's estimate with a quarter on top."""
        fields = {"from": sender, "data": _hex(calldata)}
        if to is not None:
            fields["to"] = to
        estimate = _quantity(self._ask("eth_estimateGas", fields))
        return estimate * GAS_MARGIN_PERMILLE // 1000

    def fees(self) -> Fees:
        """Return twice the base fee and the median tip of five blocks.

        A chain whose blocks have no base fee (PoA, often) is asked for its gas price.
        """
        try:
            history = self._ask("eth_feeHistory", "0x5", "latest", [50])
        except ChainNonsenseError:
            if not self._has_no_base_fee():
                raise
            return self._legacy_fees()
        if not isinstance(history, dict):
            raise ChainNonsenseError("eth_feeHistory: not an object")
        base_fees = history.get("baseFeePerGas")
        if not isinstance(base_fees, list) or not base_fees:
            raise ChainNonsenseError("eth_feeHistory: no base fees")
        rewards = history.get("reward") or []
        if not isinstance(rewards, list):
            raise ChainNonsenseError("eth_feeHistory: rewards are no list")
        if not _quantity(base_fees[-1]) and self._has_no_base_fee():
            return self._legacy_fees()
        tips = [_quantity(row[0]) for row in rewards if isinstance(row, list) and row]
        tip = max(sorted(tips)[len(tips) // 2] if tips else 0, MIN_TIP_WEI)
        return Fees(
            max_fee_wei=2 * _quantity(base_fees[-1]) + tip, priority_fee_wei=tip
        )

    def _has_no_base_fee(self) -> bool:
        return self._block("latest").get("baseFeePerGas") is None

    def _legacy_fees(self) -> Fees:
        price_wei = _quantity(self._ask("eth_gasPrice"))
        return Fees(max_fee_wei=price_wei, priority_fee_wei=price_wei, is_legacy=True)

    def send_raw(self, raw: bytes) -> None:
        """Broadcast raw bytes; "already known" is success."""
        answer = self._request("eth_sendRawTransaction", _hex(raw))
        if answer.get("error") is None:
            _hash(answer.get("result"))
            return
        text = str(_error(answer).get("message", ""))
        lowered = text.lower()
        if any(known in lowered for known in _KNOWN_ALREADY):
            return
        for part, reason in _REFUSALS:
            if part in lowered:
                raise TransactionRefusedError(reason, text)
        raise TransactionRefusedError(Refusal.OTHER, text)

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return a receipt as far as the node has one."""
        raw = self._ask("eth_getTransactionReceipt", _hex(tx_hash))
        if raw is None:
            return None
        if not isinstance(raw, dict) or not isinstance(raw.get("logs"), list):
            raise ChainNonsenseError("eth_getTransactionReceipt: not a receipt")
        if _hash(raw.get("transactionHash")) != tx_hash:
            raise ChainNonsenseError("eth_getTransactionReceipt: another receipt")
        if raw.get("blockNumber") is None:
            return None
        contract = raw.get("contractAddress")
        return Receipt(
            tx_hash=tx_hash,
            block_number=_quantity(raw["blockNumber"]),
            block_hash=_hash(raw.get("blockHash")),
            succeeded=_quantity(raw.get("status")) == 1,
            contract_address=None if contract is None else _address(contract),
            logs=tuple(_log_entry(item) for item in raw["logs"]),
        )

    def _block(self, tag: str) -> dict[str, object]:
        block = self._ask("eth_getBlockByNumber", tag, False)
        if not isinstance(block, dict):
            raise ChainNonsenseError(f"no block {tag}")
        return block

    def _ask(self, method: str, *params: object) -> object:
        answer = self._request(method, *params)
        if answer.get("error") is not None:
            error = _error(answer)
            data = _revert_data(error)
            text = str(error.get("message", error))
            if data is not None or "revert" in text.lower():
                raise ContractRevertedError(data or b"")
            raise ChainNonsenseError(f"{method}: {text[:200]}")
        if "result" not in answer:
            raise ChainNonsenseError(f"{method}: neither result nor error")
        return answer["result"]

    def _request(self, method: str, *params: object) -> dict[str, object]:
        try:
            answer = self._provider.make_request(RPCEndpoint(method), list(params))
        except requests.exceptions.JSONDecodeError as error:
            raise ChainNonsenseError(f"{method}: the answer is not JSON") from error
        except requests.exceptions.RequestException as error:
            # Whoever answers at this address next may be another node.
            self._identity = None
            # The address may carry an API key, so the error's own text stays out.
            what = type(error).__name__
            if error.response is not None:
                what = f"HTTP {error.response.status_code}"
            raise ChainUnavailableError(f"{method}: {what}") from error
        except (ValueError, RecursionError) as error:
            raise ChainNonsenseError(f"{method}: the answer is not JSON") from error
        if not isinstance(answer, dict):
            raise ChainNonsenseError(f"{method}: the answer is not an object")
        return cast("dict[str, object]", answer)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _error(answer: dict[str, object]) -> dict[str, object]:
    error = answer["error"]
    return error if isinstance(error, dict) else {"message": str(error)}


def _revert_data(error: dict[str, object]) -> bytes | None:
    data = error.get("data")
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    if isinstance(data, str) and data.startswith("0x"):
        return _data(data)
    return None


def _quantity(value: object) -> int:
    if isinstance(value, str) and value.startswith("0x") and len(value) <= 66:  # noqa: PLR2004  # 0x and 32 bytes
        try:
            number = int(value, 16)
        except ValueError:
            number = MAX_QUANTITY
        if number < MAX_QUANTITY:
            return number
    raise ChainNonsenseError(f"not a quantity: {str(value)[:80]!r}")


def _data(value: object) -> bytes:
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes(HexBytes(value))
        except ValueError:
            pass
    raise ChainNonsenseError(f"not hex data: {str(value)[:80]!r}")


def _hash(value: object) -> bytes:
    data = _data(value)
    if len(data) != HASH_BYTES:
        raise ChainNonsenseError(f"not a hash: {str(value)[:80]!r}")
    return data


def _address(value: object) -> str:
    data = _data(value)
    if len(data) != 20:  # noqa: PLR2004  # an address
        raise ChainNonsenseError(f"not an address: {str(value)[:80]!r}")
    return _hex(data)


def _log_entry(item: object) -> LogEntry:
    if not isinstance(item, dict) or not isinstance(item.get("topics"), list):
        raise ChainNonsenseError("malformed log entry")
    return LogEntry(
        address=_address(item.get("address")),
        topics=tuple(_hash(topic) for topic in item["topics"]),
        data=_data(item.get("data")),
    )
