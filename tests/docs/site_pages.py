"""Pages of the site that lie outside docs/: mkdocs calls these functions (`hooks` in mkdocs.yml)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "license.md",
    "CITATION.cff": "citation.md",
}
LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the repository's root, with their links as the site needs them."""
    for name, page in OUTSIDE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        text = LINK.sub(_from_root, text) if name.endswith(".md") else f"# {name}\n\n```\n{text}```\n"
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to the repository's root lead to the pages made of its files."""
    return LINK.sub(lambda link: _from_docs(link[1]), markdown)


def _from_root(link: re.Match) -> str:
    return OUTSIDE.get(link[1], link[1].removeprefix("docs/"))


def _from_docs(target: str) -> str:
    name = Path(target).name
    return target.replace(f"../{name}", OUTSIDE[name]) if name in OUTSIDE and target.startswith("../") else target
