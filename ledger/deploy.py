"""Brings the contracts onto a chain once, and finds them again ever after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ledger.contracts import Artifact, artifact, code_sha256, recognized
from ledger.earlier import refuse_a_second
from ledger.errors import ArtifactError
from ledger.grants import (
    Contracts,
    contracts_of,
    grants_needed,
    is_gated,
    missing,
    token_of,
)
from ledger.outbox import WAITING, Deployed, OutboxTx, Purpose, TxDraft
from ledger.ports import Holders
from ledger.runner import Report, Runner
from ledger.sqlite_store import SqliteStore

ORDER: Final = (
    "FlexToken",
    "AssetRegistry",
    "StatusAnchor",
    "Settlement",
    "AlgorithmRegistry",
)


def ensure_contracts(
    runner: Runner,
    admin: str | None,
    holders: Holders,
    now: datetime,
    report: Report,
) -> Contracts | None:
    """Deploy what is missing, grant the roles, and return the addresses.

    Safe to call again after a crash at any point: each deployment and each grant is a
    row of the outbox under its own name. On a known chain nothing is sent; the code at
    every address is compared with the one that was deployed. A grant that stands is not
    made again; one that the admin's key cannot make is an alarm, and waited for only
    where anchoring or settling needs it.

    From one deployment to the next, and to the grants, mined is enough: all are of one
    sender, whose nonces keep their order after any reorganisation, and the addresses
    follow from them. What other senders do is not so ordered. A call of an address that
    has no code succeeds and does nothing: an anchor or a settlement in a block before
    the deployment would look done. So the addresses are told once every deployment is
    final. A grant need not be: what is sent without its role reverts, and comes again.

    Args:
        runner: Has the admin's key, if anybody is to deploy or grant.
        admin: Its address; ``None``: nothing is deployed or granted here.
        holders: Who shall have the roles.
        now: Site time.
        report: Hears the alarms.

    Returns:
        The addresses, or ``None`` while transactions are under way: call again later.

    Raises:
        ArtifactError: A contract that was deployed is not on this chain any more, or is
            another one. Or none is deployed, and the admin's key is not here.
    """
    known = ensure_deployed(runner, admin, now, report)
    if known is None:
        return None
    for grant in grants_needed(known, holders):
        to_make = missing(grant, runner, admin, report)
        if to_make is None:
            if is_gated(grant, runner):
                return None
        elif carry(runner, to_make, now, report) is None:
            return None
    if _is_deploying(runner):
        return None
    return contracts_of(known)


def _is_deploying(runner: Runner) -> bool:
    """Say whether a deployment is not final yet."""
    key = runner.chain.identity().key
    opened = runner.write(lambda store: store.open_txs(key))
    return any(tx.draft.purpose is Purpose.DEPLOY for tx in opened)


def ensure_deployed(
    runner: Runner, admin: str | None, now: datetime, report: Report
) -> Mapping[str, Deployed] | None:
    """Deploy what is missing, nothing else; as `ensure_contracts` otherwise."""
    key = runner.chain.identity().key
    for name in ORDER:
        known = runner.write(lambda store: store.deployed(key))
        if name in known:
            if not _still_there(runner, key, known[name]):
                return None
            continue
        if admin is None:
            raise ArtifactError(
                f"{name} is not known on chain {key}: deploy with `wattproof ledger"
                " deploy`, and name its file in ledger.contracts_file"
            )
        compiled, arguments = _to_deploy(name, known)
        draft = TxDraft(
            chain=key,
            purpose=Purpose.DEPLOY,
            purpose_key=name,
            sender=admin,
            to=None,
            calldata=compiled.creation(admin, *arguments),
            facts={"name": name},
        )
        tx = carry(runner, draft, now, report)
        if tx is None:
            return None
        remember(runner, key, name, tx)
    known = runner.write(lambda store: store.deployed(key))
    return known if set(known) >= set(ORDER) else None


def _to_deploy(
    name: str, known: Mapping[str, Deployed]
) -> tuple[Artifact, tuple[str, ...]]:
    """Return what to deploy, and its arguments after the admin.

    A deployment that an earlier release began is finished with that release's code.
    """
    if name != "Settlement":
        return artifact(name), ()
    token = known["FlexToken"]
    if token_of(token).release == 1:
        return artifact(name, 1), (token.address,)
    return artifact(name), (token.address, known["StatusAnchor"].address)


def carry(
    runner: Runner, draft: TxDraft, now: datetime, report: Report
) -> OutboxTx | None:
    """Get one transaction mined; ``None`` while it is not."""
    if draft.purpose is Purpose.DEPLOY:
        refuse_a_second(runner, draft)

    def find_or_seal(store: SqliteStore) -> OutboxTx | None:
        found = store.find(draft.chain, draft.purpose, draft.purpose_key)
        if found is None:
            store.seal(draft, now)
        return found

    tx = runner.write(find_or_seal)
    if tx is None:
        runner.run(now, report)
        tx = runner.write(
            lambda store: store.find(draft.chain, draft.purpose, draft.purpose_key)
        )
    return None if tx is None or tx.state in WAITING else tx


def remember(runner: Runner, key: str, name: str, tx: OutboxTx) -> None:
    """Keep the address of a contract whose deployment is in a block."""
    assert tx.tx_hash is not None, "a mined transaction has its hash"
    receipt = runner.chain.receipt(tx.tx_hash)
    if receipt is None or receipt.contract_address is None:
        return
    code = runner.chain.code(receipt.contract_address)
    if recognized(name, code) is None:
        raise ArtifactError(f"{name}: the chain holds other code than was deployed")
    deployed = Deployed(
        name=name,
        address=receipt.contract_address,
        code_sha256=code_sha256(code),
        tx_hash=tx.tx_hash,
    )
    runner.write(lambda store: store.put_deployed(key, deployed))


def _still_there(runner: Runner, key: str, deployed: Deployed) -> bool:
    if code_sha256(runner.chain.code(deployed.address)) == deployed.code_sha256:
        return True
    tx = runner.write(lambda store: store.find(key, Purpose.DEPLOY, deployed.name))
    if tx is not None and tx.state in WAITING:
        return False
    raise ArtifactError(
        f"{deployed.name} is not at {deployed.address} on chain {key}: wrong chain?"
    )
