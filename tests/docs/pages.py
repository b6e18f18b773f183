"""The project's pages as a reader's program sees them: headings, links, tables."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
_FENCE: Final = re.compile(r"^(?P<fence>```+)(?P<info>.*)$")
_HEADING: Final = re.compile(r"^#{1,6}\s+(?P<text>.+?)\s*#*$")
_LINK: Final = re.compile(
    r"\[[^\]]*\]\((?P<to>[^)\s]+)\)|(?:src|href)=\"(?P<tag>[^\"]+)\""
)
_CODE: Final = re.compile(r"`[^`]*`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page.

    Attributes:
        info: What stands behind the fence, as ``json PUT /loads/{load_id}/reading``.
        line: Number of the fence's line, from 1.
    """

    info: str
    text: str
    line: int


def pages() -> list[Path]:
    """Every page of the documentation."""
    others = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    others += [ROOT / folder / "README.md" for folder in ("contracts", "benchmarks")]
    return [*others, *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    found: list[Block] = []
    fence, info, first, inside = "", "", 0, list[str]()
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        match = _FENCE.match(line)
        if not fence and match:
            fence, info, first, inside = match["fence"], match["info"], number, []
        elif fence and line.strip() == fence:
            text = "\n".join(inside)
            found.append(Block(info=info.strip(), text=text, line=first))
            fence = ""
        elif fence:
            inside.append(line)
    assert not fence, f"{page.name}:{first}: the block has no end"
    return found


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a page that are in no fenced block."""
    fence = ""
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        match = _FENCE.match(line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif match:
            fence = match["fence"]
        else:
            yield number, line


def anchors(page: Path) -> set[str]:
    """What a link may name behind ``#``: headings, as GitHub spells them."""
    seen: Counter[str] = Counter()
    found = set()
    for _, line in prose(page):
        match = _HEADING.match(line)
        if match is None:
            continue
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["text"])
        slug = re.sub(r"[^\w\- ]", "", plain.casefold()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def links(page: Path) -> list[tuple[int, str]]:
    """Line and target of every link that leads to a place of the project."""
    return [
        (number, target)
        for number, line in prose(page)
        for match in _LINK.finditer(_CODE.sub("", line))
        for target in [match["to"] or match["tag"]]
        if "://" not in target and not target.startswith("mailto:")
    ]


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, up to the next one of any level."""
    found, is_inside = [], False
    for _, line in prose(page):
        match = _HEADING.match(line)
        if match:
            is_inside = match["text"] == heading
        elif is_inside and line.startswith("|") and not line.startswith("|--"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            found.append([cell.strip() for cell in cells])
    return found


def words(cell: str) -> list[str]:
    """The words in code type of a cell."""
    return re.findall(r"`([^`]+)`", cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A part of a page that is generated.

    Attributes:
        name: Stands in the marks around it.
        make: What it must be.
    """

    page: Path
    name: str
    make: Callable[[], str]

    @property
    def begin(self) -> str:
        """The mark before it."""
        return f"<!-- {self.name}: written by python -m tests.docs.tables -->"

    @property
    def end(self) -> str:
        """The mark after it."""
        return f"<!-- end of {self.name} -->"

    def documented(self) -> str:
        """What the page has now."""
        text = self.page.read_text("utf-8")
        first = text.index(self.begin) + len(self.begin)
        return text[first : text.index(self.end)].strip() + "\n"

    def write(self) -> None:
        """Write it anew."""
        text = self.page.read_text("utf-8")
        before, after = text[: text.index(self.begin)], text[text.index(self.end) :]
        made = f"{before}{self.begin}\n\n{self.make()}\n{after}"
        self.page.write_text(made, "utf-8")
