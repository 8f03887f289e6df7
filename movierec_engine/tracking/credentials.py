"""Addresses without the user and password that they may carry, for everything that people see."""

import re

_USER_INFORMATION = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s?#]*@")


def without_credentials(text: str) -> str:
    """A text whose addresses lack their user information: `https://user:password@host` becomes `https://host`."""
    return _USER_INFORMATION.sub(r"\1", text)
