"""MovieLens archives from GroupLens: downloaded with resume, verified, and unpacked all or nothing."""

import hashlib
import http.client
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from movierec_engine.data.http_body import require_whole
from movierec_engine.errors import DataError

BASE_URL = "https://files.grouplens.org/datasets/movielens/"
MAX_UNPACKED_BYTES = 8 << 30
LARGER = 4
"""An archive of more than so many times its published size is not what was asked for, and is not fetched."""
_TIMEOUT_SECONDS = 5
_BLOCK_BYTES = 1 << 18
_MD5_FILE_BYTES = 1000
"""A file with a checksum is read up to here."""


@dataclass(frozen=True)
class Archive:
    """One published data set: its archive, roughly how large that is, and the file its ratings are in."""

    file: str
    megabytes: int
    ratings: str = "ratings.csv"


ARCHIVES = {
    "ml-latest-small": Archive("ml-latest-small.zip", 1),
    "ml-latest": Archive("ml-latest.zip", 335),
    "ml-100k": Archive("ml-100k.zip", 5, "u.data"),
    "ml-1m": Archive("ml-1m.zip", 6, "ratings.dat"),
    "ml-10m": Archive("ml-10m.zip", 63, "ratings.dat"),
    "ml-20m": Archive("ml-20m.zip", 190),
    "ml-25m": Archive("ml-25m.zip", 250),
    "ml-32m": Archive("ml-32m.zip", 239),
}


def fetch(
    name: str,
    directory: Path,
    *,
    base_url: str = BASE_URL,
    progress: Progress | None = None,
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES,
) -> Path:
    """Download a MovieLens data set into `directory / name` and return that folder; one that is there is kept.

    name: a key of ARCHIVES. progress: where the bar and the remarks are shown; by default on the terminal.

    A download that was cut goes on from its `.part` file at the next call. The archive is compared with the MD5 sum
    that GroupLens publishes beside it; where there is none, a remark says so. It is unpacked under a temporary name
    and renamed, so that a folder of that name is always complete.

    Raises DataError for an unknown name, without a network (at once, saying where to put the files by hand), for more
    bytes than any release of the archive has, when the checksum differs, and for an archive that is damaged, unpacks to
    more than `max_unpacked_bytes`, or holds a path that leads out of the folder or a link.
    """
    if name not in ARCHIVES:
        raise DataError(f"{name}: no such MovieLens data set; choose one of {', '.join(ARCHIVES)}")
    archive = ARCHIVES[name]
    folder = directory / name
    if (folder / archive.ratings).is_file():
        return folder
    if folder.exists():
        raise DataError(f"{folder}: this exists but holds no {archive.ratings}; move it away and fetch again")
    url = base_url.rstrip("/") + "/" + archive.file
    part = directory / f"{archive.file}.part"
    with _one_sentence(url, folder, archive), progress or _terminal_progress() as shown:
        directory.mkdir(parents=True, exist_ok=True)
        _download(url, part, shown, LARGER * archive.megabytes * 10**6)
        _verify(url, part, shown)
        _unpack(part, folder, archive, max_unpacked_bytes)
    return folder


def _terminal_progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    )


@contextmanager
def _one_sentence(url: str, folder: Path, archive: Archive) -> Iterator[None]:
    """Turns what the network and the file system raise into a DataError."""
    by_hand = f"unpack {archive.file} (about {archive.megabytes} MB) by hand so that {folder / archive.ratings} exists"
    try:
        yield
    except HTTPError as error:
        raise DataError(f"{url}: the server answers {error.code} {error.reason}; try later or {by_hand}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{url}: fetching failed ({reason}); fetch again to resume, or {by_hand}") from error


def _download(url: str, part: Path, progress: Progress, most: int) -> None:
    """Brings `part` to its full length, from where it ends; more than `most` bytes are refused."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(request, timeout=_TIMEOUT_SECONDS)
    except HTTPError as error:
        if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if error.headers.get("Content-Range") != f"bytes */{have}":
            part.unlink()
            raise ConnectionError(f"{part.name} did not fit the archive and was removed") from error
        return
    with response, part.open("ab") as file:
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            have = 0
            file.truncate(0)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        too_large = f"the server sends more than {most:,} bytes, which no release of {Path(url).name} has"
        if total is not None and total > most:
            raise ValueError(too_large)
        if not _copy(response, file, progress, Path(url).name, have, total, most):
            file.truncate(0)
            raise ValueError(f"{too_large}; what had come was removed")
        require_whole(response, file.tell())


def _copy(
    response: IO[bytes], file: IO[bytes], progress: Progress, description: str, have: int, total: int | None, most: int
) -> bool:
    """True if all of a response fitted into `most` bytes of the file."""
    task = progress.add_task(description, total=total, completed=have)
    while block := response.read(_BLOCK_BYTES):
        if file.tell() + len(block) > most:
            return False
        file.write(block)
        progress.advance(task, len(block))
    return True


def _verify(url: str, part: Path, progress: Progress) -> None:
    """Removes `part` and raises DataError unless it has the published MD5 sum; a missing sum is remarked on."""
    published = _published_md5(url)
    if published is None:
        progress.console.print(f"{url}.md5 is not published; the archive was not compared with a checksum")
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != published:
        part.unlink()
        raise DataError(
            f"{url}: the MD5 sum is {found} where {published} is published; the file was removed, fetch again"
        )


def _published_md5(url: str) -> str | None:
    try:
        with urlopen(f"{url}.md5", timeout=_TIMEOUT_SECONDS) as response:
            text = response.read(_MD5_FILE_BYTES)
            if len(text) < _MD5_FILE_BYTES:
                require_whole(response, len(text))
    except HTTPError as error:
        if error.code in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
            return None
        raise
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text.decode("ascii", errors="replace"))
    return found[0].lower() if found else None


def _unpack(part: Path, folder: Path, archive: Archive, max_bytes: int) -> None:
    """Unpacks beside `folder` and renames into place; an archive that is refused is removed."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        content = Path(temporary) / "content"
        try:
            with zipfile.ZipFile(part) as opened:
                _refuse_danger(opened, max_bytes)
                opened.extractall(content)
            roots = [path.parent for path in content.rglob(archive.ratings)]
            if not roots:
                raise zipfile.BadZipFile(f"it holds no {archive.ratings}")
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            part.unlink()
            raise DataError(f"{part}: the archive is not usable ({error}) and was removed; fetch it again") from error
        min(roots, key=lambda root: len(root.parts)).rename(folder)
    part.unlink()


def _refuse_danger(opened: zipfile.ZipFile, max_bytes: int) -> None:
    """Raises BadZipFile for an entry that would land outside the folder, for a link, and for too large a total."""
    for entry in opened.infolist():
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
            raise zipfile.BadZipFile(f"the entry {entry.filename!r} leads out of the folder")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise zipfile.BadZipFile(f"the entry {entry.filename!r} is a link")
    total = sum(entry.file_size for entry in opened.infolist())
    if total > max_bytes:
        raise zipfile.BadZipFile(f"it unpacks to {total:,} bytes, more than the limit of {max_bytes:,}")
