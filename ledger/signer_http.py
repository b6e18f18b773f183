"""A key that a signer service keeps: Web3Signer, or what speaks as it does.

The service is asked with ``eth_signTransaction``, so it sees what it signs, and its
rules may refuse; nothing is broadcast by it. It is trusted with the key only: what
comes back is compared with what was asked before anybody stores it. Web3Signer takes
the chain id from its own settings; one that is set for another chain is found out here.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

import requests

from ledger.bounded_http import bounded_session
from ledger.errors import SignerNonsenseError, SignerUnavailableError
from ledger.outbox import Fees
from ledger.signed_raw import Asked, check_signed

SIGN_TIMEOUT_S: Final = 10.0
"""Real seconds for connecting and for the answer; a vault behind it may take some."""
MAX_WORDS: Final = 160


class RemoteSigner:
    """A key at a signer service; satisfies `ledger.ports.Signer`."""

    def __init__(
        self, url: str, address: str, *, timeout_s: float = SIGN_TIMEOUT_S
    ) -> None:
        """Remember where the service is; nothing is sent yet.

        Args:
            url: HTTP address of its JSON-RPC endpoint; it may hold a password and
                appears in no message.
            address: Of the key, in lower-case hex with prefix.
            timeout_s: For connecting, and for the whole answer; real seconds.
        """
        self._url = url
        self._address = address
        self._timeout_s = timeout_s
        self._session = bounded_session(within_s=timeout_s, monotonic=time.monotonic)

    @property
    def address(self) -> str:
        """Return the address in lower-case hex with prefix."""
        return self._address

    def sign(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: str | None,
        calldata: bytes,
        gas_limit: int,
        fees: Fees,
    ) -> tuple[bytes, bytes]:
        """Have a transaction signed.

        A service may sign the same twice with two results; both are the same deed.

        Raises:
            SignerUnavailableError: It does not answer, or not in time.
            SignerNonsenseError: It refused, or what it signed is not what was asked.
        """
        asked = Asked(
            sender=self._address,
            chain_id=chain_id,
            nonce=nonce,
            to=to,
            calldata=calldata,
            gas_limit=gas_limit,
            fees=fees,
        )
        raw = self._raw(self._ask(_fields(asked)))
        try:
            return raw, check_signed(raw, asked)
        except SignerNonsenseError as error:
            raise SignerNonsenseError(f"{self._who}: {error}") from None

    @property
    def _who(self) -> str:
        return f"the signer of {self._address}"

    def _ask(self, fields: dict[str, str]) -> object:
        question: dict[str, Any] = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "eth_signTransaction",
            "params": [fields],
        }
        try:
            response = self._session.post(
                self._url, json=question, timeout=self._timeout_s, allow_redirects=False
            )
        except requests.exceptions.RequestException as error:
            what = type(error).__name__  # its own text holds the URL
            raise SignerUnavailableError(
                f"{self._who} does not answer: {what}"
            ) from None
        if response.status_code != requests.codes.ok:
            raise SignerUnavailableError(
                f"{self._who} does not answer: HTTP {response.status_code}"
            )
        try:
            answer = json.loads(response.content)
        except (ValueError, RecursionError):
            raise SignerNonsenseError(f"{self._who}: the answer is not JSON") from None
        if not isinstance(answer, dict):
            raise SignerNonsenseError(f"{self._who}: the answer is not an object")
        if answer.get("error") is not None:
            raise SignerNonsenseError(f"{self._who} refused: {_words(answer['error'])}")
        return answer.get("result")

    def _raw(self, result: object) -> bytes:
        if isinstance(result, dict):  # execution clients put the parsed form beside it
            result = result.get("raw")
        if isinstance(result, str) and result.startswith("0x"):
            try:
                return bytes.fromhex(result.removeprefix("0x"))
            except ValueError:
                pass
        raise SignerNonsenseError(f"{self._who}: the answer is no raw transaction")


def _fields(asked: Asked) -> dict[str, str]:
    fields = {
        "from": asked.sender,
        "nonce": hex(asked.nonce),
        "gas": hex(asked.gas_limit),
        "value": "0x0",
        "data": "0x" + asked.calldata.hex(),
        "chainId": hex(asked.chain_id),
    }
    if asked.to is not None:
        fields["to"] = asked.to
    if asked.fees.is_legacy:
        return {**fields, "gasPrice": hex(asked.fees.max_fee_wei)}
    return {
        **fields,
        "maxFeePerGas": hex(asked.fees.max_fee_wei),
        "maxPriorityFeePerGas": hex(asked.fees.priority_fee_wei),
    }


def _words(error: object) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return "".join(c if c.isprintable() else "?" for c in str(message))[:MAX_WORDS]
