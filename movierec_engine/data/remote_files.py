"""Files at addresses: copied here once, from `https://` by Python and from `s3://` by Arrow."""

import http.client
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from movierec_engine.data.http_body import require_whole
from movierec_engine.errors import DataError

if TYPE_CHECKING:
    from pyarrow import fs

_ADDRESS = re.compile(r"(s3|https?)://", re.IGNORECASE)
_WILDCARD = re.compile(r"[*?[]")
_S3 = "s3://"
_TIMEOUT_SECONDS = 30


def is_address(location: str) -> bool:
    return bool(_ADDRESS.match(location))


@cache
def copied(address: str, folder: Path) -> list[Path]:
    """Copies of the files at an address, which may be a pattern of `s3://`, in a folder; made once by each process.

    Credentials for `s3://` are those of the environment (AWS_ACCESS_KEY_ID and so on, a profile, the machine's role); a
    store other than Amazon's is named by AWS_ENDPOINT_URL. Raises DataError where the address cannot be read.
    """
    with _reading(address):
        return _of_bucket(address, folder) if _is_bucket(address) else [_downloaded(address, folder)]


def version_at(address: str) -> str:
    """A cheap signature of the files at an address, found without reading them.

    Their times and sizes in a bucket; of `https://` the ETag, time and size that the server tells, if any.
    Raises DataError where the address cannot be read.
    """
    with _reading(address):
        if _is_bucket(address):
            _, files = _in_bucket(address)
            return " ".join(f"{file.mtime_ns}:{file.size}" for file in files)
        with urlopen(Request(address, method="HEAD"), timeout=_TIMEOUT_SECONDS) as response:
            told = (response.headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Length"))
            return ":".join(told).replace(" ", "")


@contextmanager
def _reading(address: str) -> Iterator[None]:
    """Turns what the network raises into a one-sentence DataError."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{address}: cannot be read ({reason}); check the address, the network and, for s3, the AWS_* variables"
        ) from error


def _is_bucket(address: str) -> bool:
    return address.lower().startswith(_S3)


def _downloaded(address: str, folder: Path) -> Path:
    path = _place(address, folder)
    with urlopen(address, timeout=_TIMEOUT_SECONDS) as response, path.open("wb") as file:
        shutil.copyfileobj(response, file)
        require_whole(response, file.tell())
    return path


def _of_bucket(address: str, folder: Path) -> list[Path]:
    """Copies of an object, or of all objects that match a pattern."""
    store, found = _in_bucket(address)
    paths = []
    for one in found:
        paths.append(_place(one.path, folder))
        with store.open_input_stream(one.path) as source, paths[-1].open("wb") as file:
            shutil.copyfileobj(source, file)
    return paths


def _in_bucket(address: str) -> tuple["fs.FileSystem", list["fs.FileInfo"]]:
    """The object that an address names, or all that match its pattern; at least one."""
    from pyarrow import fs  # takes a while to load, and is seldom needed

    key = address[len(_S3) :]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        store = fs.S3FileSystem(endpoint_override=endpoint)
    else:
        store, key = fs.FileSystem.from_uri(f"{_S3}{key}")  # which looks up the bucket's region
    if not (plain := _WILDCARD.search(key)):
        found = store.get_file_info([key])
        if not found[0].is_file:
            raise FileNotFoundError("there is no such object")
        return store, found
    above = fs.FileSelector(key[: plain.start()].rpartition("/")[0], recursive=True)
    found = [one for one in store.get_file_info(above) if one.is_file and _matches(one.path, key)]
    if not found:
        raise DataError(f"{address}: no file is of this pattern; check the address in the data settings")
    return store, sorted(found, key=lambda one: one.path)


def _matches(path: str, pattern: str) -> bool:
    """Whether each part between slashes matches the pattern's."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _place(address: str, folder: Path) -> Path:
    """The path of a copy, under the file's own name, by which Parquet files are known."""
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2] or "file"
    return Path(tempfile.mkdtemp(dir=folder)) / name
