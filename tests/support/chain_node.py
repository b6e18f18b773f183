"""A chain as a node would serve it: JSON-RPC in front of any `ledger.ports.Chain`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.ports import Chain
from tests.support.rpc_server import RpcServer, error, result, running_rpc


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def answer_of(chain: Chain, method: str, params: list[object]) -> bytes:
    """What a node says to the questions of verifiers."""
    match method, params:
        case "eth_chainId", []:
            return result(hex(chain.identity().chain_id))
        case "eth_blockNumber", []:
            return result(hex(chain.latest_block()))
        case "eth_getBlockByNumber", ["0x0", *_]:
            return result({"hash": _hex(chain.identity().genesis_hash)})
        case "eth_getCode", [str(address), *_]:
            return result(_hex(chain.code(address)))
        case "eth_call", [{"to": str(to), "data": str(data)}, *_]:
            return result(_hex(chain.call(to, bytes.fromhex(data[2:]))))
        case "eth_getTransactionReceipt", [str(tx_hash)]:
            return result(_receipt(chain, bytes.fromhex(tx_hash[2:])))
        case _:
            return error(f"{method} is not served here")


def _receipt(chain: Chain, tx_hash: bytes) -> dict[str, object] | None:
    found = chain.receipt(tx_hash)
    if found is None:
        return None
    return {
        "transactionHash": _hex(found.tx_hash),
        "blockNumber": hex(found.block_number),
        "blockHash": _hex(found.block_hash),
        "status": hex(found.succeeded),
        "contractAddress": found.contract_address,
        "logs": [
            {
                "address": log.address,
                "topics": [_hex(topic) for topic in log.topics],
                "data": _hex(log.data),
            }
            for log in found.logs
        ],
    }


@contextmanager
def served_chain(chain: Chain) -> Iterator[RpcServer]:
    """Serve a chain on 127.0.0.1, one question at a time."""
    lock = threading.Lock()

    def answer(method: str, params: list[object]) -> bytes:
        with lock:
            return answer_of(chain, method, params)

    with running_rpc(answer) as server:
        yield server
