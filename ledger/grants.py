"""Who may do what on the contracts: asked of the chain first, granted where missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ledger.contracts import (
    EARLIER,
    Artifact,
    address_bytes,
    artifact,
    code_sha256,
    role,
)
from ledger.outbox import Deployed, OutboxTx, Purpose, State, TxDraft
from ledger.ports import Chain, Holders
from ledger.runner import Report, Runner
from ledger.sqlite_store import SqliteStore

BINDING: Final = "minter"
"""Stands where a role would: the token takes its minter once, and for ever."""
ADMIN_ROLE: Final = "DEFAULT_ADMIN_ROLE"
"""Who has it grants the others; OpenZeppelin gives it the id zero."""
PAUSER_ROLE: Final = "PAUSER_ROLE"
ADMIN_ID: Final = bytes(32)
_ASKED_AGAIN_S: Final = 300.0
MAX_REPEATED: Final = 100
"""How often one right can be given, taken back, and given again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """Where the contracts are; addresses in lower-case hex."""

    asset_registry: str
    status_anchor: str
    settlement: str
    flex_token: str
    algorithm_registry: str

    def by_name(self) -> Mapping[str, str]:
        """Return the addresses by the names of the contracts."""
        return {
            "FlexToken": self.flex_token,
            "AssetRegistry": self.asset_registry,
            "StatusAnchor": self.status_anchor,
            "Settlement": self.settlement,
            "AlgorithmRegistry": self.algorithm_registry,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One right that an address shall have on a contract.

    Attributes:
        contract: The code that is deployed, of whichever release.
        role_name: Name of the role, or `BINDING`.
        is_needed: Anchoring or settling cannot go on without it.
    """

    contract: Artifact
    address: str
    role_name: str
    grantee: str
    is_needed: bool = True

    @property
    def purpose_key(self) -> str:
        """Return the name of its row in the outbox."""
        return f"{self.contract.name}.{self.role_name}:{self.grantee}"

    @property
    def role_id(self) -> bytes:
        """Return the role as the contracts name it."""
        return ADMIN_ID if self.role_name == ADMIN_ROLE else role(self.role_name)

    def taking_back(self, chain: str, sender: str, number: int) -> TxDraft:
        """Return the transaction that takes it back; number counts from 1."""
        return replace(
            self.draft(chain, sender, number),
            purpose=Purpose.REVOKE,
            calldata=self.contract.calldata("revokeRole", self.role_id, self.grantee),
        )

    def draft(self, chain: str, sender: str, number: int = 1) -> TxDraft:
        """Return the transaction that makes it; number counts repetitions from 1."""
        if self.role_name == BINDING:
            calldata = self.contract.calldata("bindMinter", self.grantee)
        else:
            calldata = self.contract.calldata("grantRole", self.role_id, self.grantee)
        return TxDraft(
            chain=chain,
            purpose=Purpose.GRANT,
            purpose_key=self.purpose_key + ("" if number == 1 else f"#{number}"),
            sender=sender,
            to=self.address,
            calldata=calldata,
            facts={
                "contract": self.contract.name,
                "role": self.role_name,
                "grantee": self.grantee,
            },
        )

    def stands(self, chain: Chain) -> bool:
        """Ask the chain whether it is made already."""
        if self.role_name != BINDING:
            return self._has_role(chain, self.role_id, self.grantee)
        data = chain.call(self.address, self.contract.calldata("minter"))
        (bound,) = self.contract.result("minter", data)
        return str(bound).lower() == self.grantee.lower()

    def may_be_changed(self, chain: Chain, sender: str) -> bool:
        """Ask the chain whether that address gives and takes roles on the contract."""
        return self._has_role(chain, ADMIN_ID, sender)

    def can_be_made(self, chain: Chain, sender: str) -> bool:
        """Ask the chain whether that address may make it, and nothing is in its way."""
        if not self.may_be_changed(chain, sender):
            return False
        if self.role_name != BINDING:
            return True
        data = chain.call(self.address, self.contract.calldata("minter"))
        return self.contract.result("minter", data) == (address_bytes(None),)

    def _has_role(self, chain: Chain, role_id: bytes, account: str) -> bool:
        call = self.contract.calldata("hasRole", role_id, account)
        (answer,) = self.contract.result("hasRole", chain.call(self.address, call))
        return bool(answer)


def contracts_of(known: Mapping[str, Deployed]) -> Contracts:
    """Return the addresses of a whole deployment."""
    return Contracts(
        asset_registry=known["AssetRegistry"].address,
        status_anchor=known["StatusAnchor"].address,
        settlement=known["Settlement"].address,
        flex_token=known["FlexToken"].address,
        algorithm_registry=known["AlgorithmRegistry"].address,
    )


def token_of(deployed: Deployed) -> Artifact:
    """Return which release of the token was deployed; its code has no own values."""
    for release in EARLIER["FlexToken"]:
        earlier = artifact("FlexToken", release)
        if code_sha256(earlier.runtime_code) == deployed.code_sha256:
            return earlier
    return artifact("FlexToken")


def grants_needed(known: Mapping[str, Deployed], holders: Holders) -> tuple[Grant, ...]:
    """Return what anchoring, settling and publishing need.

    Args:
        known: The contracts, by name.
        holders: Who shall have the roles.
    """
    token = token_of(known["FlexToken"])
    minting = "MINTER_ROLE" if token.release == 1 else BINDING
    wanted = (
        ("AssetRegistry", "REGISTRAR_ROLE", holders.registrar, False),
        ("StatusAnchor", "ANCHORER_ROLE", holders.anchorer, True),
        ("Settlement", "SETTLER_ROLE", holders.settler, True),
        ("FlexToken", minting, known["Settlement"].address, True),
        ("AlgorithmRegistry", "PUBLISHER_ROLE", holders.publisher, False),
    )
    return tuple(
        Grant(
            contract=token if name == "FlexToken" else artifact(name),
            address=known[name].address,
            role_name=role_name,
            grantee=grantee,
            is_needed=is_needed,
        )
        for name, role_name, grantee, is_needed in wanted
        if grantee is not None
    )


def grants_on_all(
    known: Mapping[str, Deployed], role_name: str, grantee: str
) -> tuple[Grant, ...]:
    """Return the same right on every contract, as a pauser or an admin has it."""
    return tuple(
        Grant(
            contract=artifact(name),
            address=known[name].address,
            role_name=role_name,
            grantee=grantee,
            is_needed=False,
        )
        for name in (*contracts_of(known).by_name(), *({"Escrow"} & set(known)))
    )


def missing(
    grant: Grant, runner: Runner, sender: str | None, report: Report
) -> TxDraft | None:
    """Return the transaction that a grant needs, if it needs one that can be made.

    An alarm says so where the key in use cannot make it. One that is under way is
    returned too, whatever the chain says: it is carried on. One that was made and is
    not there any more was taken back, and is made anew.

    Args:
        grant: The right.
        runner: Knows chain and outbox.
        sender: The admin; ``None`` where its key is not.
        report: Hears the alarm.
    """
    key = runner.chain.identity().key
    draft = grant.draft(key, sender or "")
    for number in range(2, MAX_REPEATED):
        known = _known(runner, draft)
        if known is not None and known.state is not State.FINAL:
            return draft
        if grant.stands(runner.chain):
            return None
        if known is None:
            break
        draft = grant.draft(key, sender or "", number)
    if sender is not None and grant.can_be_made(runner.chain, sender):
        return draft
    report.alarms.append(_cannot(grant, sender))
    return None


def is_gated(grant: Grant, runner: Runner) -> bool:
    """Say whether work must wait for a grant that nobody here can make."""
    return grant.is_needed and not grant.stands(runner.chain)


class Pausers:
    """Grants the right to stop the contracts; no other work waits for it."""

    def __init__(self, runner: Runner, admin: str | None, pauser: str) -> None:
        """Remember the parts; nothing is asked yet.

        Args:
            runner: Knows chain and outbox.
            admin: Who grants; ``None`` where its key is not: then only alarms tell.
            pauser: Who shall be able to stop the contracts.
        """
        self._runner = runner
        self._admin = admin
        self._pauser = pauser
        self._due: datetime | None = None
        self._alarms: tuple[str, ...] = ()
        self._is_done = False

    def see(self, contracts: Contracts, now: datetime, report: Report) -> bool:
        """Seal the grants that are missing and can be made; alarm for the others.

        Args:
            contracts: Where they are.
            now: Site time.
            report: Hears the alarms, in every step.

        Returns:
            Whether something was sealed.
        """
        is_sealed = False
        if not self._is_done and (self._due is None or now >= self._due):
            is_sealed = self._ask(contracts, now)
            self._due = now + timedelta(seconds=_ASKED_AGAIN_S)
        report.alarms += self._alarms
        return is_sealed

    def _ask(self, contracts: Contracts, now: datetime) -> bool:
        asked, is_sealed = Report(), False
        self._is_done = True
        for name, address in contracts.by_name().items():
            grant = Grant(
                contract=artifact(name),
                address=address,
                role_name=PAUSER_ROLE,
                grantee=self._pauser,
            )
            if grant.stands(self._runner.chain):
                continue
            self._is_done = False
            draft = missing(grant, self._runner, self._admin, asked)
            if draft is not None and _known(self._runner, draft) is None:
                self._runner.write(partial(_seal, draft=draft, now=now))
                is_sealed = True
        self._alarms = tuple(asked.alarms)
        return is_sealed


def _seal(store: SqliteStore, draft: TxDraft, now: datetime) -> None:
    store.seal(draft, now)


def _known(runner: Runner, draft: TxDraft) -> OutboxTx | None:
    return runner.write(
        lambda store: store.find(draft.chain, draft.purpose, draft.purpose_key)
    )


def _cannot(grant: Grant, sender: str | None) -> str:
    what = f"{grant.role_name} of {grant.contract.name} at {grant.address}"
    if sender is None:
        return (
            f"{what} is not with {grant.grantee}:"
            " `wattproof ledger deploy` with the admin's key grants it"
        )
    return f"{what} is not with {grant.grantee}, and {sender} cannot grant it"
