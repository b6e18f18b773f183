"""Who may do what on the contracts: asked of the chain first, granted where missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ledger.contracts import Artifact, address_bytes, artifact, role
from ledger.outbox import OutboxTx, Purpose, TxDraft
from ledger.ports import Chain, Signers
from ledger.runner import Report, Runner
from ledger.sqlite_store import SqliteStore

BINDING: Final = "minter"
"""Stands where a role would: the token takes its minter once, and for ever."""
_ADMIN: Final = bytes(32)
"""OpenZeppelin's ``DEFAULT_ADMIN_ROLE``: who has it grants the others."""
_ASKED_AGAIN_S: Final = 300.0


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

    def draft(self, chain: str, sender: str) -> TxDraft:
        """Return the transaction that makes it."""
        if self.role_name == BINDING:
            calldata = self.contract.calldata("bindMinter", self.grantee)
        else:
            calldata = self.contract.calldata(
                "grantRole", role(self.role_name), self.grantee
            )
        return TxDraft(
            chain=chain,
            purpose=Purpose.GRANT,
            purpose_key=self.purpose_key,
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
            return self._has_role(chain, role(self.role_name), self.grantee)
        data = chain.call(self.address, self.contract.calldata("minter"))
        (bound,) = self.contract.result("minter", data)
        return str(bound).lower() == self.grantee.lower()

    def can_be_made(self, chain: Chain, sender: str) -> bool:
        """Ask the chain whether that address may make it, and nothing is in its way."""
        if not self._has_role(chain, _ADMIN, sender):
            return False
        if self.role_name != BINDING:
            return True
        data = chain.call(self.address, self.contract.calldata("minter"))
        return self.contract.result("minter", data) == (address_bytes(None),)

    def _has_role(self, chain: Chain, role_id: bytes, account: str) -> bool:
        call = self.contract.calldata("hasRole", role_id, account)
        (answer,) = self.contract.result("hasRole", chain.call(self.address, call))
        return bool(answer)


def grants_needed(
    addresses: Mapping[str, str], signers: Signers, token: Artifact
) -> tuple[Grant, ...]:
    """Return what anchoring, settling and publishing need.

    Args:
        addresses: Of the contracts, by name.
        signers: The keys in use.
        token: Which release of the token is deployed.
    """
    minting = "MINTER_ROLE" if token.release == 1 else BINDING
    wanted = (
        ("AssetRegistry", "REGISTRAR_ROLE", signers.registrar.address, False),
        ("StatusAnchor", "ANCHORER_ROLE", signers.anchorer.address, True),
        ("Settlement", "SETTLER_ROLE", signers.settler.address, True),
        ("FlexToken", minting, addresses["Settlement"], True),
        ("AlgorithmRegistry", "PUBLISHER_ROLE", signers.admin.address, False),
    )
    return tuple(
        Grant(
            contract=token if name == "FlexToken" else artifact(name),
            address=addresses[name],
            role_name=role_name,
            grantee=grantee,
            is_needed=is_needed,
        )
        for name, role_name, grantee, is_needed in wanted
    )


def missing(
    grant: Grant, runner: Runner, sender: str, report: Report
) -> TxDraft | None:
    """Return the transaction that a grant needs, if it needs one that can be made.

    An alarm says so where the key in use cannot make it. One that the outbox knows is
    returned too, whatever the chain says: it is carried on.
    """
    draft = grant.draft(runner.chain.identity().key, sender)
    if _known(runner, draft) is not None:
        return draft
    if grant.stands(runner.chain):
        return None
    if grant.can_be_made(runner.chain, sender):
        return draft
    report.alarms.append(_cannot(grant, sender))
    return None


def is_gated(grant: Grant, runner: Runner) -> bool:
    """Say whether work must wait for a grant that nobody here can make."""
    return grant.is_needed and not grant.stands(runner.chain)


class Pausers:
    """Grants the right to stop the contracts; no other work waits for it."""

    def __init__(self, runner: Runner, signers: Signers) -> None:
        """Remember the parts; nothing is asked yet."""
        self._runner = runner
        self._signers = signers
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
        sender = self._signers.admin.address
        self._is_done = True
        for name, address in contracts.by_name().items():
            grant = Grant(
                contract=artifact(name),
                address=address,
                role_name="PAUSER_ROLE",
                grantee=self._signers.pauser,
            )
            if grant.stands(self._runner.chain):
                continue
            self._is_done = False
            draft = missing(grant, self._runner, sender, asked)
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


def _cannot(grant: Grant, sender: str) -> str:
    what = f"{grant.role_name} of {grant.contract.name} at {grant.address}"
    return f"{what} is not with {grant.grantee}, and {sender} cannot grant it"
