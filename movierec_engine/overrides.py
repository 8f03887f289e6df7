"""Settings as words of a command line: in Hydra's syntax, and quoted for the shell."""

import re
import shlex

_WITHOUT_QUOTES = re.compile(r"[A-Za-z0-9_./-]+")
_NO_TEXTS = ("null", "true", "false")
_SPECIAL_IN_DOUBLE_QUOTES = frozenset('"$`\\!')


def text_setting(key: str, text: str) -> str:
    """`key=value` that sets just this text, whatever it holds: quotes, spaces, `${...}`."""
    if _is_plain(text):
        return f"{key}={text}"
    without_interpolations = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", text)
    return f"{key}={in_quotes(without_interpolations)}"


def in_quotes(value: str) -> str:
    """A value as a text of Hydra's, in which `${...}` stays an interpolation."""
    text = re.sub(r"(\\*)('|\Z)", lambda found: 2 * found[1] + found[2].replace("'", "\\'"), value)
    return f"'{text}'"


def in_shell(word: str) -> str:
    """A word as a shell takes it; one with single quotes in double ones where nothing in it is special there."""
    if "'" in word and not _SPECIAL_IN_DOUBLE_QUOTES & set(word):
        return f'"{word}"'
    return shlex.quote(word)


def _is_plain(text: str) -> bool:
    """True if Hydra reads a text as one without quotes."""
    if not _WITHOUT_QUOTES.fullmatch(text) or text.lower() in _NO_TEXTS:
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
