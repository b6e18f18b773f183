"""The verifier's questions to a chain about a plan: its head, and its algorithm."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ledger.algorithms import PublishedAlgorithm, published_algorithm
from ledger.contracts import code_sha256, recognized
from ledger.ports import Chain
from ledger.published import PublishedContracts
from ledger.verdicts import Check, Verdict
from ledger.verify_chain import ask, check_anchored, check_identity
from ledger.verify_plan import CHAIN_NAMES, PlanTrust, Sealed

_ASKED: Final = ("StatusAnchor", "AlgorithmRegistry")


def check_plan_chain(
    sealed: Sealed, algorithm: str, trust: PlanTrust, published: PublishedContracts
) -> list[Check]:
    """Ask a chain about a plan, at the addresses that the operator publishes."""

    def question(chain: Chain) -> list[Check]:
        good = Verdict.SELF_WITNESSED if chain.self_witnessed else Verdict.TRUE
        checks = [
            check_identity(chain, published.chain_id, published.genesis_hash, good)
        ]
        if checks[0].verdict is Verdict.FALSE:
            return [*checks, *_not_judged(1, "that is another chain")]
        checks.append(_check_code(published, chain, good))
        if checks[1].verdict is Verdict.FALSE:
            return [*checks, *_not_judged(2, "those are other contracts")]
        anchor, registry = (published.contracts[name].address for name in _ASKED)
        return [
            *checks,
            check_anchored(sealed.head, anchor, chain, good),
            _check_algorithm(
                published_algorithm(chain, registry, algorithm),
                algorithm,
                sealed.made_at,
                trust.wheel_sha256,
                good,
            ),
        ]

    return ask(
        question,
        CHAIN_NAMES,
        rpc_url=trust.rpc_url,
        chain_path=trust.chain_path,
    )


def _not_judged(first: int, why: str) -> list[Check]:
    return [Check.not_judged(name, why) for name in CHAIN_NAMES[first:]]


def _check_code(published: PublishedContracts, chain: Chain, good: Verdict) -> Check:
    for name in _ASKED:
        known = published.contracts.get(name)
        if known is None:
            return Check.false("code", f"no {name} is published")
        code = chain.code(known.address)
        if recognized(name, code) is None:
            return Check.false("code", f"the code at {known.address} is not {name}")
        if code_sha256(code) != known.code_sha256:
            why = f"the code at {known.address} is not what is published"
            return Check.false("code", why)
    reason = f"{' and '.join(_ASKED)} have the published code at their addresses"
    return Check(name="code", verdict=good, reason=reason)


def _check_algorithm(
    found: PublishedAlgorithm | None,
    algorithm: str,
    made_at: datetime | None,
    wheel_sha256: bytes | None,
    good: Verdict,
) -> Check:
    if found is None:
        return Check.open("algorithm", f"{algorithm} is not published there")
    if found.version != algorithm:
        return Check.false("algorithm", f"{algorithm} is published as another version")
    if made_at is None:
        return Check.not_judged("algorithm", "the record does not say when it was made")
    if made_at < found.active_from:
        since = found.active_from.isoformat()
        return Check.false("algorithm", f"the plan is older than its release, {since}")
    wheel = found.wheel_sha256.hex()
    if wheel_sha256 is None:
        reason = f"{algorithm} is published; compare its wheel with {wheel}: --wheel"
        return Check(name="algorithm", verdict=good, reason=reason)
    if wheel_sha256 != found.wheel_sha256:
        given = wheel_sha256.hex()
        return Check.false("algorithm", f"published is {wheel}, the wheel is {given}")
    reason = f"{algorithm} is published, and the wheel is the one"
    return Check(name="algorithm", verdict=good, reason=reason)
