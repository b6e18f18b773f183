"""Chains for these tests: the embedded one, and a node that all of them share."""

from collections.abc import Iterator

import pytest

from ledger.verify import Verdict
from tests.support.anvil import Node, running_node
from tests.support.ledger_backends import BOTH, EMBEDDED, Backend, reverted
from tests.support.ledger_site import fixed_signers


@pytest.fixture(scope="session")
def shared_node() -> Iterator[Node]:
    """One anvil for all tests of a process; whoever uses it takes it back."""
    with running_node() as node:
        for signer in fixed_signers().all():
            node.fund(signer.address)
        yield node


@pytest.fixture(scope="module", params=BOTH)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A chain of each kind; on a node a module begins where it began before."""
    if request.param == EMBEDDED:
        made = Backend(name=EMBEDDED, node=None, good=Verdict.SELF_WITNESSED)
        yield made
        made.close()
        return
    node: Node = request.getfixturevalue("shared_node")
    made = Backend(name=request.param, node=node, good=Verdict.TRUE)
    with reverted(node):
        yield made
    made.close()
