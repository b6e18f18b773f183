"""Whether a log is the one that its chain knows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol, TypeAlias

from ledger.checkpoint import Checkpoint
from ledger.disclosed import Alarm, Objection
from ledger.errors import ArtifactError, ChainError, SourceError
from ledger.export import CHAIN
from ledger.log_source import Source, Tiles, json_of
from ledger.ports import Chain
from ledger.witness import ChainLook


class ClosingChain(Chain, Protocol):
    """A chain that was opened for a look."""

    def close(self) -> None:
        """Let it go."""
        ...


OpenChain: TypeAlias = Callable[[], ClosingChain]


def open_chain(rpc_url: str | None, chain_path: Path | None) -> OpenChain:
    """Return what opens a node or an embedded chain's file, read only."""

    def opened() -> ClosingChain:
        # Imported here: web3 and the EVM take a second to load.
        if chain_path is not None:
            from ledger.embedded import EmbeddedChain  # noqa: PLC0415 - see above

            return EmbeddedChain.open_read_only(chain_path)
        from ledger.chain import JsonRpcChain  # noqa: PLC0415 - see above

        assert rpc_url is not None, "the caller gives one of the two"
        return JsonRpcChain(rpc_url)

    return opened


class ChainCheck:
    """Compares a checkpoint with the newest head on a chain.

    Args:
        source: The export, which names the contract.
        chain: Opens the chain.
        anchor: Address of the contract, from elsewhere; ``None``: as the log first
            said.
    """

    def __init__(
        self, *, source: Source, chain: OpenChain, anchor: str | None = None
    ) -> None:
        self._source = source
        self._chain = chain
        self._anchor = anchor

    def __call__(self, checkpoint: Checkpoint, tiles: Tiles, anchor: str) -> ChainLook:
        """Compare a checkpoint with the chain.

        Raises:
            SourceError: The log cannot be asked now.
        """
        named = self._anchor or anchor or self._named()
        try:
            with closing(self._chain()) as chain:
                return _compare(chain, named, checkpoint, tiles)
        except (ChainError, ArtifactError, OSError) as error:
            return _wrong(named, Alarm.CHAIN_UNAVAILABLE, str(error))

    def _named(self) -> str:
        found = json_of(self._source, CHAIN)
        address = found.get("anchor_contract") if isinstance(found, dict) else None
        if not isinstance(address, str):
            raise SourceError("the log names no contract yet: give its address")
        return address


def _compare(
    chain: Chain, address: str, checkpoint: Checkpoint, tiles: Tiles
) -> ChainLook:
    from ledger.contracts import artifact, recognized  # noqa: PLC0415 - loads eth-abi

    if recognized("StatusAnchor", chain.code(address)) is None:
        text = f"the code at {address} is not StatusAnchor"
        return _wrong(address, Alarm.CHAIN_FORK, text)
    binding = artifact("StatusAnchor")
    data = chain.call(address, binding.calldata("head"))
    size, root, _anchored_at = binding.result("head", data)
    if size > checkpoint.size:
        return ChainLook(anchor=address, ahead=size)
    if size and not tiles.proves_prefix(size, root, checkpoint.root):
        text = (
            f"the head of {size} leaves on the chain, {root.hex()}, is not of this log"
        )
        return _wrong(address, Alarm.CHAIN_FORK, text)
    return ChainLook(anchor=address)


def _wrong(anchor: str, alarm: Alarm, text: str) -> ChainLook:
    return ChainLook(anchor=anchor, objections=(Objection(alarm=alarm, text=text),))
