"""The errors of the ledger, split by what their catcher does.

LedgerError
    RecordError        the caller built a record that cannot be written canonically
    ProofError         a proof was asked for that cannot exist (index, size)
    BundleError        a file is not a receipt: say so in one line, exit 2
    OutboxError        a transaction may not move that way: a bug, stop the worker
        LeaseLostError     another process took over: stop, write nothing more
    KeyLoadError       a key or passphrase cannot be used: tell the operator
    SignerError        a remote signer did not sign; nothing was stored or sent
        SignerUnavailableError  it does not answer: try again later
        SignerNonsenseError     it refused, or signed something else: raise alarm
    AddressBookError   a file of contracts' addresses cannot be used: fix it
    OperationFailedError   a command of the admin ended early: say so, exit 1
    ArtifactError      a compiled contract is missing or broken: fix the installation
    LedgerForkError    the chain contradicts the local log: stop anchoring, raise alarm
    ChainError
        ChainUnavailableError  try again later; the backlog waits in the database
        ChainNonsenseError     the node answers, but not as an EVM node: raise alarm
        WrongChainError        the node serves another chain: send nothing, raise alarm
        ContractRevertedError  the contract said no; ``name`` and ``args`` say why
        TransactionRefusedError   the node did not take it; ``reason`` says what to do
"""

from __future__ import annotations

from enum import Enum

from typing_extensions import override


class LedgerError(Exception):
    """Any failure that the ledger reports on purpose."""


class RecordError(LedgerError, ValueError):
    """A record cannot be written in the canonical form, or was not written in it."""


class ProofError(LedgerError, ValueError):
    """An index or a size lies outside the log."""


class BundleError(LedgerError, ValueError):
    """The input is not a bundle that this version can read."""


class NoteError(LedgerError, ValueError):
    """Not a signed note, checkpoint, key or tile, or not one that can be read."""


class SourceError(LedgerError):
    """A public export cannot be read now, or holds something else than it should."""


class OutboxError(LedgerError):
    """A transaction was asked to make a move that its state does not allow."""


class LeaseLostError(OutboxError):
    """The lease belongs to somebody else now; nothing was written."""


class KeyLoadError(LedgerError):
    """A key cannot be used; the text names the file or variable, never the key."""


class SignerError(LedgerError):
    """A remote signer did not sign what it was asked to."""


class SignerUnavailableError(SignerError):
    """The signer does not answer, or not in time."""


class SignerNonsenseError(SignerError):
    """The signer refused, or answered something else than was asked."""


class AddressBookError(LedgerError, ValueError):
    """A file of contracts' addresses cannot be read or written."""


class OperationFailedError(LedgerError):
    """A command of the admin could not do what it was asked to."""


class ArtifactError(LedgerError):
    """A compiled contract is missing, or its file is not what it should be."""


class LedgerForkError(LedgerError):
    """The head on chain is not a head of this log."""


class ChainError(LedgerError):
    """Anything that went wrong at the chain."""


class ChainUnavailableError(ChainError):
    """The node does not answer, or not in time."""


class ChainNonsenseError(ChainError):
    """The node answers something that an EVM node cannot answer."""


class WrongChainError(ChainError):
    """The node serves another chain than the configuration names."""


class ContractRevertedError(ChainError):
    """A contract reverted.

    Attributes:
        data: The revert data as returned, empty when there was none.
        name: The name of the custom error, ``Error``, ``Panic`` or ``unknown``.
        arguments: Decoded arguments, in the order of the ABI.
    """

    def __init__(
        self, data: bytes, *, name: str = "unknown", arguments: tuple[object, ...] = ()
    ) -> None:
        """Keep the raw data beside what could be decoded of it."""
        super().__init__(data, name, arguments)
        self.data = data
        self.name = name
        self.arguments = arguments

    @override
    def __str__(self) -> str:
        """Name the error and its arguments; hex for byte strings."""
        shown = ", ".join(
            f"0x{item.hex()}" if isinstance(item, bytes) else str(item)
            for item in self.arguments
        )
        if self.name == "unknown" and self.data:
            return f"contract reverted: 0x{self.data[:68].hex()}"
        return f"contract reverted: {self.name}({shown})"


class Refusal(Enum):
    """Why a node did not take a transaction; each asks for a different answer."""

    UNDERPRICED = "underpriced"
    NONCE_TOO_LOW = "nonce too low"
    NONCE_TOO_HIGH = "nonce too high"
    NO_FUNDS = "insufficient funds"
    OTHER = "other"


class TransactionRefusedError(ChainError):
    """The node refused a raw transaction.

    Attributes:
        reason: What kind of refusal it was.
    """

    def __init__(self, reason: Refusal, text: str) -> None:
        """Keep the classified reason beside the node's own words."""
        super().__init__(f"{reason.value}: {text}")
        self.reason = reason
