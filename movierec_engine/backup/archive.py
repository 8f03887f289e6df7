"""A folder of files with their checksums, `manifest.json`, which is there as a whole or not at all.

It is written as `<folder>.partial` and renamed once all is on the disk. A writer that was killed leaves that, and the
next one goes on from it. Only the owner may read it, since it is about people.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from movierec_engine.errors import MovierecError
from movierec_engine.store.files import fsync, replace_file, sha256_of

FORMAT = 1
"""Version of the archive's format; a release reads those up to its own."""
MANIFEST_FILE = "manifest.json"
_CHUNK = 1 << 20


class BackupError(MovierecError):
    """A backup cannot be made, is damaged, or cannot be restored here."""


@dataclass(frozen=True)
class Backup:
    """A whole archive."""

    folder: Path
    files: dict[str, dict[str, Any]]
    """Name, with `/` between folders -> size in bytes and SHA-256."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Facts about the backup: `created_at`, `movierec` (the release that wrote it), and what else its writer said."""

    @property
    def size(self) -> int:
        """Size of all files, in bytes."""
        return sum(int(one["size"]) for one in self.files.values())

    def names(self, part: str) -> list[str]:
        """The files of one part, such as `feedback`."""
        return [name for name in self.files if name.startswith(f"{part}/")]

    @property
    def identity(self) -> str:
        """The checksum of all checksums."""
        return sha256_of(self.folder / MANIFEST_FILE)

    def copy(self, name: str, target: Path, private: bool) -> None:
        """Copy one file, on the disk when this returns; one that is there already with the same content stays.

        private: whether only the owner may read it.

        Raises BackupError where it is missing or its checksum is another.
        """
        source, wanted = self.folder / name, self.files[name]
        if not source.is_file() or source.stat().st_size != wanted["size"]:
            raise BackupError(f"{source}: missing from the backup, or cut off; take an older backup")
        if _copied(source, target, wanted["sha256"], private) != wanted["sha256"]:
            target.unlink()
            raise BackupError(f"{source}: does not match the backup's checksum; take an older backup")


def read_backup(folder: Path) -> Backup:
    """The archive in a folder. Raises BackupError where there is none, or one of a newer release."""
    path = folder / MANIFEST_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        archive = Backup(folder, dict(content["files"]), dict(content["facts"]))
        found = int(content["format"])
    except FileNotFoundError as error:
        partial = _partial(folder)
        hint = (
            f"; {partial.name} is one that was cut off, which the same backup command ends" if partial.is_dir() else ""
        )
        raise BackupError(
            f"{folder}: no backup is there{hint or '; name the folder that `movierec backup` made'}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{path}: not a readable backup ({error}); take an older one") from error
    if found > FORMAT:
        raise BackupError(
            f"{folder}: a backup of format {found}, by movierec {archive.facts.get('movierec')}, and this release "
            f"knows format {FORMAT}; restore it with that one"
        )
    return archive


class BackupWriter:
    """Fills an archive; files that an earlier attempt has copied are not copied again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self._partial = _partial(self.folder)
        self._files: dict[str, dict[str, Any]] = {}
        if self.folder.exists():
            raise BackupError(f"{self.folder}: is there already; name a folder that is not, such as one with the date")
        self._partial.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(self._partial / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise BackupError(f"{self.folder}: another backup is being written there; wait for it") from error

    @property
    def size(self) -> int:
        """Size of the files added, in bytes."""
        return sum(int(one["size"]) for one in self._files.values())

    def write(self, name: str, content: bytes) -> None:
        """Add a file with this content."""

        def write(path: Path) -> None:
            path.write_bytes(content)

        self.make(name, write)

    def make(self, name: str, write: Callable[[Path], None]) -> None:
        """Add a file that `write` makes at a path, where there is none."""
        path = self._place(name)
        path.unlink(missing_ok=True)
        write(path)
        path.chmod(0o600)
        fsync(path)
        self._note(name, sha256_of(path))

    def copy(self, source: Path, name: str, sha256: str = "") -> None:
        """Add a copy of a file that does not change. Raises BackupError where its checksum is not the given one."""
        path = self._place(name)
        try:
            found = _copied(source, path, sha256, private=True)
        except FileNotFoundError as error:
            raise BackupError(f"{source}: went away meanwhile; run the same command again") from error
        if sha256 and found != sha256:
            path.unlink()
            raise BackupError(f"{source}: does not match its manifest's checksum; materialize it again, then back up")
        self._note(name, found)

    def finish(self, facts: dict[str, Any]) -> Backup:
        """Make it an archive in one step."""
        content = {"format": FORMAT, "facts": facts, "files": dict(sorted(self._files.items()))}
        for path in sorted(self._partial.rglob("*"), reverse=True):  # of an attempt before, of what is gone since
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(self._partial).as_posix() not in self._files and path.name != ".lock":
                path.unlink()
        replace_file(self._partial / MANIFEST_FILE, json.dumps(content, indent=1))
        for path in [*self._partial.rglob("*"), self._partial]:
            path.chmod(0o700 if path.is_dir() else 0o600)
            if path.is_dir():
                fsync(path)
        self._lock.release()
        (self._partial / ".lock").unlink(missing_ok=True)
        self._partial.rename(self.folder)
        fsync(self.folder.parent)
        return read_backup(self.folder)

    def _place(self, name: str) -> Path:
        path = self._partial / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _note(self, name: str, sha256: str) -> None:
        self._files[name] = {"size": (self._partial / name).stat().st_size, "sha256": sha256}


def _partial(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.partial")


def _copied(source: Path, target: Path, sha256: str, private: bool) -> str:
    """The SHA-256 of the target: an earlier copy if it has the right content, or else a new one."""
    if sha256 and target.is_file() and target.stat().st_size == source.stat().st_size and sha256_of(target) == sha256:
        return sha256
    target.parent.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("wb") as written:
        if private:
            target.chmod(0o600)
        while block := read.read(_CHUNK):
            digest.update(block)
            written.write(block)
        written.flush()
        os.fsync(written.fileno())
    return digest.hexdigest()
