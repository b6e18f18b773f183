"""No link of the documentation leads nowhere."""

from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs import pages


@pytest.mark.parametrize(
    "page", pages.pages(), ids=lambda page: str(page.relative_to(pages.ROOT))
)
def test_every_relative_link_and_anchor_leads_somewhere(page: Path) -> None:
    broken = []
    for line, target in pages.links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        if not file.exists():
            broken.append(f"line {line}: {target}: no such file")
        elif anchor and anchor not in pages.anchors(file):
            broken.append(f"line {line}: {target}: no such heading")
    assert broken == []


def test_every_page_of_docs_is_linked_from_the_readme_or_its_pages() -> None:
    found, waiting = set[Path](), [pages.ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        found.add(page)
        targets = (target.partition("#")[0] for _, target in pages.links(page))
        files = {(page.parent / path).resolve() for path in targets if path}
        folders = {
            inner for file in files if file.is_dir() for inner in file.glob("*.md")
        }
        linked = {file for file in files | folders if file.suffix == ".md"}
        waiting += linked - found - set(waiting)
    assert set(pages.DOCS.rglob("*.md")) - found == set()


def test_anchors_are_spelled_as_the_pages_are_shown(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Two words\n## `code` & more\n## Two words\n```\n# none\n```\n")
    assert pages.anchors(page) == {"two-words", "code--more", "two-words-1"}
