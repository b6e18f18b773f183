"""A node of a chain of appointed signers, as a client sees it: anvil in disguise.

Its headers have 97 bytes of extra data (Clique: vanity and a signature) and no base
fee, there is no fee history, no block is called final, and transactions that name more
than one price are not taken.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.anvil import Node
from tests.support.rpc_server import RpcServer, error, running_rpc

EXTRA_DATA = "0x" + "00" * 97
FIRST_OF_A_LIST = 0xC0
"""RLP: a transaction that begins below it has a type, and those came with base fees."""


@contextmanager
def running_poa(node: Node) -> Iterator[RpcServer]:
    """Serve the disguise on 127.0.0.1 until the end of the block."""
    with httpx.Client(trust_env=False) as client:

        def answer(method: str, params: list[object]) -> bytes:
            match method, params:
                case "eth_feeHistory" | "eth_maxPriorityFeePerGas", _:
                    return error(f"the method {method} does not exist")
                case "eth_getBlockByNumber", ["finalized" | "safe", *_]:
                    return error("unknown block")
                case "eth_sendRawTransaction", [str(raw)]:
                    if int(raw[2:4], 16) < FIRST_OF_A_LIST:
                        return error("transaction type not supported")
                case _:
                    pass
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            told = client.post(node.url, json=body, timeout=20).json()
            block = told.get("result")
            if method == "eth_getBlockByNumber" and isinstance(block, dict):
                block["extraData"] = EXTRA_DATA
                block.pop("baseFeePerGas", None)
            return json.dumps(told).encode()

        with running_rpc(answer) as server:
            yield server
