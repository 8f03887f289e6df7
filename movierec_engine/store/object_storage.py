"""Storage in an object store: S3 and what speaks as it does, Google's, Azure's.

    content/<day>/<SHA-256>              files of versions, by their content and the day on which they were written
    versions/<slot>/<version>.json       manifests, each written once, after its files; it says on which day they were
    latest/<slot>                        the newest complete version's name
    pointers/<data set>/<name>.json      promoted versions
    .order/lock, pointers/*/decisions.lock   leases, under which versions are named and decisions are made
    .order/newest                        the last stamp

A version is there once its manifest is, and gone once that is. LATEST, pointers and leases are replaced by
compare-and-swap. What a killed writer uploaded is taken over by the next one who writes the same content on that day;
the rest is deleted by `sweep`, which looks at days that are over, to which nobody adds any more.

On this host, below MOVIEREC_LOCAL (`artifacts`): .cache with versions up to MOVIEREC_CACHE_GB (20), .incoming, and what
is no artifact.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.store import lease, scratch
from movierec_engine.store.files import replace_file
from movierec_engine.store.objects import TRANSFERS, AwayError, Objects
from movierec_engine.store.slot import Slot, slot_in
from movierec_engine.store.storage import REPAIR_OR_REMOVE, Files, LostRaceError, Manifest
from movierec_engine.store.version_cache import VersionCache

log = logging.getLogger(__name__)
T = TypeVar("T")

LOCAL_VARIABLE, CACHE_VARIABLE = "MOVIEREC_LOCAL", "MOVIEREC_CACHE_GB"
OPEN_DAYS = 2
"""A day's content is swept once so many days have passed since: what is uploaded may become a version until then."""
RECENT_SECONDS = 1.0
"""An answer so old is good enough for a reader that may be offline."""
AWAY_SECONDS = 5.0
"""How long such a reader does without an object store that did not answer, before it asks again."""


class ObjectStorage:
    """Storage below a URL. offline: whether what was read before, on this host, stands in while the store is away."""

    def __init__(self, url: str, *, offline: bool = False) -> None:
        self.location, self._offline = url.rstrip("/"), offline
        self.root = local_root()
        self._objects = Objects(self.location)
        name = f"{self.location.partition('://')[2].partition('/')[0]}-{_short(self.location)}"
        self._cache_folder = self.root / ".cache" / name
        self._cache = VersionCache(self._cache_folder, _limit())
        self._recent: dict[str, tuple[float, Any]] = {}
        self._away_until = 0.0
        self._keeps = True  # until this host's disk has taken no answer

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.location, self._offline)

    def scratch(self) -> Path:
        scratch.sweep(self.root / ".incoming")
        return scratch.new_folder(self.root / ".incoming")

    def upload(self, folder: Path, manifest: Manifest) -> Manifest:
        """Files whose content is there already, by another version or a killed writer, are not sent again. It is read,
        as an object may be damaged."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        paths = {one["sha256"]: (folder / name, one["size"]) for name, one in manifest["files"].items()}

        def send(digest: str) -> None:
            path, size = paths[digest]
            key = _content(day, digest)
            if not self._objects.holds(key, size, digest):
                self._objects.upload(key, path)

        with ThreadPoolExecutor(TRANSFERS) as pool:
            for _ in pool.map(send, paths):
                pass
        return {**manifest, "content": day}

    def put(self, slot: Slot, version: str, folder: Path, manifest: Manifest, *, cached: bool = True) -> None:
        if _days_since(manifest["content"]) >= OPEN_DAYS - 1:
            raise StoreError(f"{self.location}: {slot} took days to upload, so its files may be gone; publish it again")
        self._objects.write(_manifest(slot, version), json.dumps(manifest, indent=1).encode(), None)
        if cached:
            self._cache.adopt(f"{slot}/{version}", folder)

    def remove(self, slot: Slot, version: str) -> None:
        self._objects.delete([_manifest(slot, version)])
        self._cache.drop(f"{slot}/{version}")

    def sweep(self) -> None:
        """Delete content of days that are over which no manifest names.

        Raises StoreError for a manifest that cannot be read, since what it needs cannot be told.
        """
        scratch.sweep(self.root / ".incoming")
        content = self._objects.list("content/")
        over = [one.key for one in content if _days_since(one.key.split("/")[1]) >= OPEN_DAYS]
        if not over:
            return
        used = set()
        for key, text in self._texts([one.key for one in self._objects.list("versions/")]).items():
            try:
                manifest = json.loads(text)
                used |= {_content(manifest["content"], file["sha256"]) for file in manifest["files"].values()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StoreError(
                    f"{self.location}/{key}: not a readable manifest ({error}), so what it needs cannot be told; "
                    f"{REPAIR_OR_REMOVE}"
                ) from error
        self._objects.delete(key for key in over if key not in used)

    def manifest(self, slot: Slot, version: str) -> str | None:
        def ask() -> str | None:
            return self._text(_manifest(slot, version))

        def is_final(text: str | None) -> bool:
            return text is not None and slot_in(text) == str(slot)

        return self._remembered(_question(slot, version), ask, is_final)

    def manifests(self, slot: Slot) -> dict[str, str]:
        def ask() -> dict[str, str]:
            names = self._versions(slot)
            texts = self._texts([_manifest(slot, name) for name in names])
            return {name: texts[key] for name in names if (key := _manifest(slot, name)) in texts}

        return self._remembered(f"manifests of {slot}", ask)

    def versions(self, slot: Slot) -> list[str]:
        return self._remembered(f"versions of {slot}", lambda: self._versions(slot))

    def folder(self, slot: Slot, version: str, files: Files, content: str) -> Path:
        def fetch(missing: list[tuple[str, Path]]) -> None:
            self._fetch(missing, files, content)

        try:
            return self._cache.folder(f"{slot}/{version}", files, fetch)
        except AwayError:
            raise
        except StoreError:
            self._forget(slot, version)
            raise

    def copy_to(self, folder: Path, slot: Slot, version: str, files: Files, content: str) -> None:
        self._fetch([(name, folder / name) for name in files], files, content)

    def repair(self, slot: Slot, version: str, files: Files, content: str, folder: Path) -> None:
        for name, file in files.items():
            self._objects.upload(_content(content, file["sha256"]), folder / name)

    def discard(self, slot: Slot, version: str) -> bool:
        self._forget(slot, version)
        return self._cache.drop(f"{slot}/{version}")

    def slots(self, kind: str = "") -> Iterator[Slot]:
        prefix = f"latest/{kind}/" if kind else "latest/"
        keys: list[str] = self._remembered(f"slots of {kind}", lambda: [one.key for one in self._objects.list(prefix)])
        yield from (Slot(*key.split("/")[1:]) for key in keys)

    def latest(self, slot: Slot) -> str | None:
        return self._remembered(f"latest of {slot}", lambda: self._text(f"latest/{slot}"))

    def set_latest(self, slot: Slot, version: str) -> None:
        self._objects.replace(f"latest/{slot}", version.encode())

    def pointers(self) -> list[tuple[str, str]]:
        keys = [one.key for one in self._objects.list("pointers/") if one.key.endswith(".json")]
        return [(key.split("/")[1], Path(key).stem) for key in keys]

    def pointer(self, data_set: str, name: str) -> str | None:
        return self._remembered(f"pointer {name} of {data_set}", lambda: self._text(f"pointers/{data_set}/{name}.json"))

    def set_pointer(self, data_set: str, name: str, text: str) -> None:
        self._objects.replace(f"pointers/{data_set}/{name}.json", text.encode())

    def swap_pointer(self, data_set: str, name: str, before: str | None, text: str) -> None:
        key = f"pointers/{data_set}/{name}.json"
        found = self._objects.read(key)
        if (None if found is None else found[0].decode(errors="replace")) != before:
            raise LostRaceError(f"{self.location}/{key}: another process has changed it; try again")
        self._objects.write(key, text.encode(), None if found is None else found[1])

    def remove_pointer(self, data_set: str, name: str) -> None:
        self._objects.delete([f"pointers/{data_set}/{name}.json"])

    def last_stamp(self) -> str:
        return self._text(".order/newest") or ""

    def set_last_stamp(self, stamp: str) -> None:
        self._objects.replace(".order/newest", stamp.encode())

    def hold(self, name: str, timeout: float) -> AbstractContextManager[None]:
        return lease.hold(self._objects, name, timeout)

    def changes(self, kind: str, data_set: str, pointer: str) -> Hashable:
        def ask() -> list[str]:
            newest = self._objects.list(f"latest/{kind}/{data_set}/")
            pointers = [
                one for one in self._objects.list(f"pointers/{data_set}/") if one.key.endswith(f"/{pointer}.json")
            ]
            return [f"{one.key} {one.tag}" for one in (*newest, *pointers)]

        return tuple(self._remembered(f"changes of {kind} of {data_set} and of {pointer}", ask))

    def slot_changes(self, slot: Slot) -> Hashable:
        return tuple(self.versions(slot))

    def _versions(self, slot: Slot) -> list[str]:
        depth = len(slot.parts) + 2
        keys = (one.key.split("/") for one in self._objects.list(f"versions/{slot}/"))
        return [parts[-1].removesuffix(".json") for parts in keys if len(parts) == depth]

    def _text(self, key: str) -> str | None:
        found = self._objects.read(key)
        return None if found is None else found[0].decode(errors="replace")

    def _texts(self, keys: list[str]) -> dict[str, str]:
        """The texts of manifests by their keys, of those that are there; as they never change, a copy here will do."""

        def read(key: str) -> tuple[str, str | None]:
            copy, slot = self._copy(key), key.removeprefix("versions/").rpartition("/")[0]
            with suppress(OSError, ValueError):
                if slot_in(text := copy.read_text(encoding="utf-8")) == slot:
                    return key, text
            found = self._text(key)
            if found is not None and slot_in(found) == slot:
                self._keep(copy, found)
            return key, found

        with ThreadPoolExecutor(TRANSFERS) as pool:
            return {key: text for key, text in pool.map(read, keys) if text is not None}

    def _fetch(self, missing: list[tuple[str, Path]], files: Files, content: str) -> None:
        self._objects.download(
            (_content(content, files[name]["sha256"]), int(files[name]["size"]), path) for name, path in missing
        )

    def _remembered(self, name: str, ask: Callable[[], T], is_final: Callable[[T], bool] | None = None) -> T:
        """The answer to a question about the store; for a reader that may be offline, the last one that this host got
        while the store does not answer, or at any time where that is final.

        Raises AwayError where there is none.
        """
        if not self._offline:
            return ask()
        now = time.monotonic()
        if (recent := self._recent.get(name)) and now - recent[0] < RECENT_SECONDS:
            answer: T = recent[1]
            return answer
        path = self._answer(name)
        if is_final:
            with suppress(AwayError):
                if is_final(kept := self._kept(path, AwayError())):
                    self._recent[name] = (now, kept)
                    return kept  # type: ignore[no-any-return]
        if now >= self._away_until:
            try:
                answer = ask()
            except AwayError as error:
                if self._away_until == 0.0:
                    log.warning("answering from what this host has read before: %s", error)
                self._away_until = time.monotonic() + AWAY_SECONDS
                kept = self._kept(path, error)
            else:
                if self._away_until:
                    log.warning("%s answers again", self.location)
                self._away_until = 0.0
                if recent is None or recent[1] != answer:
                    self._keep(path, json.dumps(answer))
                kept = answer
        else:
            kept = self._kept(path, AwayError(f"{self.location}: the object store is out of reach"))
        self._recent[name] = (time.monotonic(), kept)
        return kept  # type: ignore[no-any-return]

    def _answer(self, name: str) -> Path:
        return self._cache_folder / "answers" / f"{quote(name, safe=' ')}.json"

    def _copy(self, key: str) -> Path:
        return self._cache_folder / "manifests" / key.removeprefix("versions/")

    def _forget(self, slot: Slot, version: str) -> None:
        """Ask the store again for a manifest whose files are not as it says: it may be the copy here that is wrong."""
        name = _question(slot, version)
        self._recent.pop(name, None)
        for path in (self._answer(name), self._copy(_manifest(slot, version))):
            with suppress(OSError):
                path.unlink()

    def _keep(self, path: Path, text: str) -> None:
        """Keep an answer on this host; one that its disk does not take is an answer all the same."""
        try:
            replace_file(path, text)
        except OSError as error:
            if self._keeps:
                self._keeps = False
                log.warning("%s: what is read is not kept for when the store is away: %s", self._cache_folder, error)

    def _kept(self, path: Path, error: AwayError) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise error from None


def local_root() -> Path:
    """The folder of this host, by MOVIEREC_LOCAL."""
    return Path(os.environ.get(LOCAL_VARIABLE) or "artifacts").expanduser().absolute()


def _made(url: str, offline: bool) -> ObjectStorage:
    return ObjectStorage(url, offline=offline)


def _content(day: str, digest: str) -> str:
    return f"content/{day}/{digest}"


def _manifest(slot: Slot, version: str) -> str:
    return f"versions/{slot}/{version}.json"


def _question(slot: Slot, version: str) -> str:
    return f"manifest of {slot}/{version}"


def _days_since(day: str) -> float:
    """Days that have passed since the end of a day, 2026-11-29; a name that is no day is one that never ends."""
    try:
        return (datetime.now(UTC) - datetime.strptime(f"{day}+0000", "%Y-%m-%d%z")) / timedelta(days=1) - 1
    except ValueError:
        return float("-inf")


def _limit() -> int:
    """The limit of the cache in bytes. Raises ConfigError for one that is no number, or is negative."""
    text = os.environ.get(CACHE_VARIABLE) or "20"
    try:
        limit = round(float(text) * 2**30)
    except (ValueError, OverflowError):  # infinite
        limit = -1
    if limit < 0:
        raise ConfigError(f"{CACHE_VARIABLE}={text} must be a number of GB, such as 20")
    return limit


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
