"""Which data set a command or a server means where none is named."""

from movierec_engine.config import Settings, usual_data_set
from movierec_engine.errors import StoreError
from movierec_engine.store import ArtifactStore


def choose_data_set(store: ArtifactStore, kind: str, named: str = "", option: str = "--data") -> str:
    """The named data set; else the only one that has artifacts of a kind, else the one of configs/, `data.name`.

    option: what names one. Raises StoreError with the choices where that leaves several, or where the named one is not
    among those that there are.
    """
    known = store.data_sets(kind)
    if named and (named in known or not known):
        return named
    if len(known) == 1 and not named:
        return known[0]
    usual = named or usual_data_set()
    if usual in known or not known:
        return usual
    if named:
        raise StoreError(f"{store.root} has no {kind} of the data set {named}; there are {', '.join(known)}")
    raise StoreError(f"{store.root} has the data sets {', '.join(known)}; choose one by {option} NAME")


def named_data_set(settings: Settings) -> str:
    """The data set that a run's own settings name, as `data.name=...`; "" where it is the one of configs/."""
    named = any(one.lstrip("+").startswith(("data=", "data.name=")) for one in settings.overrides)
    return settings.data.name if named else ""
