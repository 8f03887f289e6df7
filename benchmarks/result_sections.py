"""A page of results in sections, each of which is measured on its own."""

from collections.abc import Iterable
from pathlib import Path


def write_section(page: Path, head: str, title: str, lines: Iterable[str]) -> str:
    """Put a section into a page in the place of the one of its title, or at the end; the page's text.

    head: what stands above the sections of a page that is new.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else head
    above, *others = text.strip().split("\n\n## ")
    sections = {one.partition("\n")[0]: one for one in others} | {title: "\n".join([title, "", *lines])}
    text = "\n\n## ".join([above, *sections.values()]) + "\n"
    page.write_text(text, encoding="utf-8")
    return text
