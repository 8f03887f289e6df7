"""Sentences as Markdown."""

import re

import pytest

from dashboard import shell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "svd is worse; `movierec tune svd` finds *better*.",
            "svd is worse; `movierec tune svd` finds \\*better\\*\\.",
        ),
        ("`a <b>` alone", "`a <b>` alone"),
        ("one ` alone", "one \\` alone"),
    ],
)
def test_commands_are_code_and_all_else_is_as_it_is(text: str, shown: str) -> None:
    assert shell.sentence(text) == shown


@pytest.mark.parametrize(
    "text", ["user 307@ex.org", "https://ex.org/a", "HTTP://ex.org", "see www.ex.org", "a@b.c@d.e"]
)
def test_an_address_in_a_text_is_no_link_and_reads_the_same(text: str) -> None:
    """GitHub's Markdown makes links of addresses by these patterns, after it has undone the escapes."""
    shown = re.sub(r"\\(.)", r"\1", shell.plain(text))
    assert not re.search(r"[-.\w+]+@[-\w]+(\.[-\w]+)+|(https?://|www(?=\.))[-.\w]+", shown, re.IGNORECASE)
    assert shown.replace("\u2060", "") == text
