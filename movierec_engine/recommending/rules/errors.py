"""Errors of rules, each naming the place in the document and the remedy."""

from movierec_engine.errors import ConfigError, StoreError


class RuleError(ConfigError):
    """A document of rules is malformed, contradicts itself, or does not fit the catalogue."""


class RulesMovedError(StoreError):
    """Other rules were published meanwhile than those that a change is based on."""
