"""Sentences as Markdown."""

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
