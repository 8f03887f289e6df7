"""API keys and their scopes, from the environment.

    MOVIEREC_API_KEYS=read=KEY,write=KEY,admin=KEY        a key without a scope is an admin's

A key of a scope may do what the scopes before it may. While no key is set everything is open, which is why a server
does not listen on a public address then unless it is told to.
"""

import os

from movierec_engine.errors import ConfigError

OPEN, READ, WRITE, ADMIN = "open", "read", "write", "admin"
"""What an endpoint asks of a key: nothing; to see what is known of people and of the operation; to record what people
do; to erase people."""
SCOPES = (OPEN, READ, WRITE, ADMIN)
KEYS_VARIABLE = "MOVIEREC_API_KEYS"
SHORTEST_KEY = 16


def keys_of_environment() -> dict[str, str]:
    """The scope of each key in MOVIEREC_API_KEYS, which are separated by commas.

    Raises ConfigError for a key that is too short or not ASCII.
    """
    scopes = {}
    for entry in filter(None, map(str.strip, os.environ.get(KEYS_VARIABLE, "").split(","))):
        scope, separator, key = entry.partition("=")
        scoped = bool(separator) and scope in SCOPES[1:]
        scopes[key.strip() if scoped else entry] = scope if scoped else ADMIN
    for key in scopes:
        if len(key) < SHORTEST_KEY:
            raise ConfigError(f"{KEYS_VARIABLE} has a key of fewer than {SHORTEST_KEY} characters; use longer ones")
        if not key.isascii():
            raise ConfigError(f"{KEYS_VARIABLE} has a key with a character that no HTTP header carries; use ASCII")
    return scopes
