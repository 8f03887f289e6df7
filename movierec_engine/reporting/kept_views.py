"""Kept views: pages of the dashboard with what was chosen on them, by a name.

All views are one small document, of which every change publishes a new version; the newest that is whole holds. Views
span data sets, so that the document has a slot of its own.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.store import Artifact, ArtifactStore, Slot, content_key, kinds
from movierec_engine.store.objects import AwayError

log = logging.getLogger(__name__)

SLOT = Slot(kinds.KEPT_VIEWS, "dashboard")
VIEWS_FILE = "views.json"
MOST, LONGEST_NAME, LONGEST_CHOICES = 500, 60, 8_000
"""Views in a store; characters of a view's name, and of all its choices together."""
_LOCK, _LOCK_SECONDS = ".order/kept_views.lock", 30


@dataclass(frozen=True)
class KeptView:
    """A page and its choices by a name."""

    name: str
    page: str
    """The page's path below the dashboard's address; "" for the first."""
    choices: dict[str, str] = field(default_factory=dict)
    """The names and values of the page's address."""
    at: str = ""
    """When it was kept, in ISO 8601."""


def kept_views(store: ArtifactStore) -> dict[str, KeptView]:
    """Every view by its name, sorted. A damaged version is passed by with a warning, and the next change heals it.

    Raises StoreError where none of the versions is whole, and where they cannot be read at this moment.
    """
    damage: list[str] = []
    for version in reversed(store.storage.versions(SLOT)):
        try:
            made = store.get(SLOT, version).verify(VIEWS_FILE)
        except StoreError as error:
            if isinstance(error, AwayError) or isinstance(error.__cause__, OSError):
                raise  # it may be whole, and a change of an older one would lose what it has
            damage.append(f"{version} is damaged ({error})")
            continue
        if damage:
            log.warning("of the kept views %s; those of %s hold", damage[0], made.created_at)
        return _views_of(made)
    if damage:
        raise StoreError(
            f"no version of the kept views is whole: {damage[0]}; to begin anew, remove the versions of {SLOT} in "
            f"{store.location}"
        )
    return {}


def _views_of(made: Artifact) -> dict[str, KeptView]:
    path = made.folder / VIEWS_FILE
    try:
        found = [KeptView(**one) for one in json.loads(path.read_text(encoding="utf-8"))["views"]]
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is no document of views for this release ({error}); use movierec {made.code_version}"
        ) from error
    return {one.name: one for one in sorted(found, key=lambda one: one.name.casefold())}


def keep_view(
    store: ArtifactStore, name: str, page: str, choices: Mapping[str, str], *, replace: bool = False
) -> KeptView:
    """Keep a page and its choices under a name, from whitespace at its ends freed.

    replace: whether a view of that name may be replaced. Raises ConfigError for a name that is taken or cannot be one.
    """
    made = KeptView(checked_name(name), page, dict(choices), datetime.now(UTC).isoformat(timespec="seconds"))
    if sum(len(key) + len(value) for key, value in made.choices.items()) > LONGEST_CHOICES:
        raise ConfigError(f"a view's choices have at most {LONGEST_CHOICES:,} characters; choose fewer")

    def change(views: dict[str, KeptView]) -> None:
        if made.name in views and not replace:
            raise ConfigError(f"there is a view named {made.name!r} already; choose another name, or delete it first")
        views[made.name] = made
        if len(views) > MOST:
            raise ConfigError(f"a store has at most {MOST} kept views; delete one first")

    _change(store, change)
    return made


def delete_view(store: ArtifactStore, name: str) -> None:
    """Delete a view. Raises ConfigError where there is none of that name."""

    def change(views: dict[str, KeptView]) -> None:
        del views[_known(views, name)]

    _change(store, change)


def rename_view(store: ArtifactStore, name: str, to: str) -> None:
    """Give a view another name. Raises ConfigError where that is taken or cannot be one, or there is no such view."""
    new = checked_name(to)

    def change(views: dict[str, KeptView]) -> None:
        old = views[_known(views, name)]
        if new != name and new in views:
            raise ConfigError(f"there is a view named {new!r} already; choose another name")
        del views[name]
        views[new] = KeptView(new, old.page, old.choices, old.at)

    _change(store, change)


def checked_name(text: str) -> str:
    """A view's name. Raises ConfigError for what cannot be one."""
    name = " ".join(text.split(" ")).strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ConfigError(
            f"a view's name has 1 to {LONGEST_NAME} printable characters, and {text[:80]!r} has not; choose another"
        )
    return name


def _known(views: Mapping[str, KeptView], name: str) -> str:
    if name not in views:
        raise ConfigError(f"there is no kept view named {name!r}; it was deleted or renamed")
    return name


def _change(store: ArtifactStore, change: Callable[[dict[str, KeptView]], None]) -> None:
    """Read all views, change them, and publish them, while nobody else does."""
    try:
        with store.storage.hold(_LOCK, _LOCK_SECONDS):
            views = kept_views(store)
            change(views)
            content = {"views": [asdict(one) for one in views.values()]}

            def write(folder: Path) -> None:
                (folder / VIEWS_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

            store.publish(SLOT, write, key=content_key(content), fingerprint="", facts={"views": len(views)})
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"{store.location}: the view could not be written ({why}); nothing changed") from error
