"""HTML as a tree, for tests: read by the standard library's tokenizer, strictly about what is closed."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, TreeBuilder

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_STEP = re.compile(r"(?P<tag>[a-z][a-z0-9-]*)?(?P<rest>([#.][\w-]+|\[[\w-]+(=[\w-]+)?\])*)")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.builder, self.open = TreeBuilder(), list[str]()
        self.builder.start("document", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        self.builder.end(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing at {self.getpos()}"
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        self.builder.data(data)


def tree(text: str) -> Element:
    """The document's tree. Fails for a tag that is left open or closed out of turn."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open, f"left open: {reader.open}"
    reader.builder.end("document")
    return reader.builder.close()


def select(node: Element, selector: str) -> list[Element]:
    """The descendants that match any of a few CSS selectors: tags, classes, ids, attributes, descendants."""
    found = [one for part in selector.split(",") for one in _within(node, part.split())]
    return [one for place, one in enumerate(found) if not any(one is other for other in found[:place])]


def text_of(node: Element) -> str:
    """Everything written inside, blanks joined."""
    return " ".join("".join(node.itertext()).split())


def _within(node: Element, steps: list[str]) -> Iterator[Element]:
    for one in node.iter():
        if one is not node and _matches(one, steps[0]):
            if steps[1:]:
                yield from _within(one, steps[1:])
            else:
                yield one


def _matches(node: Element, step: str) -> bool:
    parts = _STEP.fullmatch(step)
    assert parts, f"{step} is no selector that this reads"
    if parts["tag"] and node.tag != parts["tag"]:
        return False
    for one in re.findall(r"[#.][\w-]+|\[[^\]]+\]", parts["rest"]):
        name, _, value = one.strip("[]").partition("=")
        if one[0] == "#" and node.get("id") != one[1:]:
            return False
        if one[0] == "." and one[1:] not in node.get("class", "").split():
            return False
        if one[0] == "[" and (name not in node.attrib or (value and node.get(name) != value)):
            return False
    return True
