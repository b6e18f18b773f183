"""Makes our own scripts and styles smaller: comments and spaces that mean nothing go.

For text that is written with a semicolon after every statement, as ours is: no line end
means anything then. Strings, templates and regular expressions stay as they are.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<kept>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)
    |(?P<space>\s+)
    |(?P<word>[\w$#]+)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PATTERN: Final = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_BEFORE_PATTERN: Final = "(,=:[!&|?{};"
"""After one of these a slash begins a regular expression, and divides nothing."""
_SIGNS: Final = frozenset("+-")
_MEANT: Final = re.compile(r"[\w$#]")


def compact_script(text: str) -> str:
    """Return a script without comments and spaces.

    Templates must not hold templates.
    """
    found: list[str] = []
    at, has_gap = 0, False
    while at < len(text):
        match = None
        if text[at] == "/" and text[at + 1] not in "/*" and _may_be_pattern(found):
            match = _PATTERN.match(text, at)
        token = match or _TOKEN.match(text, at)
        assert token is not None, "the last branch takes anything"
        at = token.end()
        kind = "kept" if match else token.lastgroup
        if kind in {"comment", "space"}:
            has_gap = True
            continue
        if has_gap and found and _needs_space(found[-1][-1], token[0][0]):
            found.append(" ")
        found.append(token[0])
        has_gap = False
    return "".join(found)


def compact_style(text: str) -> str:
    """Return a style sheet without comments and spaces around its punctuation."""
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"\s+", " ", bare)).strip()


def _may_be_pattern(found: list[str]) -> bool:
    return not found or found[-1] in _BEFORE_PATTERN


def _needs_space(before: str, after: str) -> bool:
    if before in _SIGNS and after in _SIGNS:
        return True
    return bool(_MEANT.match(before) and _MEANT.match(after))
