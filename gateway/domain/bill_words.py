"""Verdicts and reasons as sentences, for whoever must decide about a held bill."""

import re
from collections.abc import Iterable
from typing import Final

from gateway.domain.reasons import REASONS, Verdict
from gateway.domain.signed_session import SignedVerdict

VERDICTS: Final = {
    Verdict.OK: "The registers are good and signed by the meter.",
    Verdict.OK_UNSIGNED: "The registers are good; the meter did not sign them.",
    Verdict.RECONSTRUCTED: "A part of the session was missing and was put together from"
    " other readings.",
    Verdict.SUSPICIOUS: "The readings contradict each other or cannot be right.",
    Verdict.UNBILLABLE: "There are no registers to bill.",
}
SIGNATURES: Final = {
    SignedVerdict.OK: "Begin and end are signed by the meter, and the signatures are"
    " those of the key that an operator pinned to it.",
    SignedVerdict.UNSIGNED: "The meter sent no signed records.",
    SignedVerdict.UNVERIFIED: "There are signed records, but they do not suffice.",
    SignedVerdict.FAILED: "A signed record is forged, broken or of another meter.",
}
_LINK: Final = re.compile(r" ?\[[^\]]*\]\([^)]*\)")


def verdict_text(verdict: str) -> str:
    """A verdict in words."""
    return VERDICTS[Verdict(verdict)] if verdict in set(Verdict) else verdict


def reason_text(word: str) -> str:
    """A reason as a sentence; the word itself, spelled out, if it is not known."""
    known = REASONS.get(word)
    text = word.replace("_", " ") if known is None else known.text
    plain = _LINK.sub("", text).replace("`", "")
    end = "" if plain.endswith(("?", ".")) else "."
    return f"{plain[:1].upper()}{plain[1:]}{end}"


def told(reasons: Iterable[str]) -> list[dict[str, str]]:
    """Reasons with their words, in order."""
    return [{"reason": one, "text": reason_text(one)} for one in reasons]
