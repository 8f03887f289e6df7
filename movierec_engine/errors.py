"""The errors a person sees. Each message is one sentence: what was wrong, where, and what to do."""


class MovierecError(Exception):
    """Base of every error that is the caller's to mend; the command line prints it without a stack trace."""


class ConfigError(MovierecError):
    """A setting has an unknown name, a wrong type or a value out of range."""


class DataError(MovierecError):
    """An input file is missing, empty, malformed or contradicts itself."""


class EmptyDataError(DataError):
    """A filter or a split left nothing to work on."""


class StoreError(MovierecError):
    """An artifact is missing, damaged or incompatible."""


class DeviceError(MovierecError):
    """The requested device is not on this machine."""


class LeakError(MovierecError):
    """Training has seen what it is measured on."""
