"""Chains on which one and the same test is played: the embedded file, and anvil.

Both mine a block for each transaction, and call it final at once. What happens to a
node is taken back afterwards, so that one process serves all tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from typing_extensions import override

from ledger.chain import JsonRpcChain
from ledger.embedded import EmbeddedChain
from ledger.verify import Verdict
from tests.support.anvil import Node
from tests.support.ledger_site import SteppedClock, embedded_chain

EMBEDDED: Final = "embedded"
ANVIL: Final = "anvil"
ON_A_NODE: Final = (pytest.param(ANVIL, marks=pytest.mark.chain),)
"""Parameters of the same fixture for what a node alone can show."""
BOTH: Final = (EMBEDDED, *ON_A_NODE)
"""Parameters of a fixture that is of either kind."""


class MinedChain(JsonRpcChain):
    """A node that has mined a transaction once it has taken it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, confirmations=0)

    @override
    def send_raw(self, raw: bytes) -> None:
        super().send_raw(raw)
        self._ask("evm_mine")  # it mines by itself too, but some moment later


@dataclass
class Backend:
    """A kind of chain.

    Attributes:
        node: The process; ``None``: the chain is a file in the folder of its site.
        good: The best that a verifier says of it.
    """

    name: str
    node: Node | None
    good: Verdict
    _opened: list[EmbeddedChain | JsonRpcChain] = field(default_factory=list)

    def open(
        self, folder: Path, clock: SteppedClock | None = None
    ) -> EmbeddedChain | JsonRpcChain:
        """The chain of a site; whoever does not close it leaves that to the end."""
        chain: EmbeddedChain | JsonRpcChain
        if self.node is None:
            chain = embedded_chain(folder, clock or SteppedClock())
        else:
            chain = MinedChain(self.node.url)
        self._opened.append(chain)
        return chain

    def ask(self, folder: Path) -> dict[str, Any]:
        """How a verifier is told to ask it."""
        if self.node is None:
            return {"chain_path": folder / "chain.db"}
        return {"rpc_url": self.node.url}

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What a node lives through within is forgotten; a file is in its folder."""
        if self.node is None:
            yield
            return
        with reverted(self.node):
            yield

    def close(self) -> None:
        """Close what tests left open."""
        for chain in self._opened:
            chain.close()
        self._opened.clear()


@contextmanager
def reverted(node: Node) -> Iterator[None]:
    """Take back what a node does within, its pool included."""
    before = node.ask("evm_snapshot")
    try:
        yield
    finally:
        node.ask("evm_setAutomine", True)
        node.ask("anvil_dropAllTransactions")
        assert node.ask("evm_revert", before)
