"""Files at addresses: copied here once, from `https://` by Python and from `s3://` by Arrow."""

import http.client
import os
import re
import shutil
import tempfile
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from urllib.request import urlopen

from movierec_engine.errors import DataError

_ADDRESS = re.compile(r"(s3|https?)://", re.IGNORECASE)
_WILDCARD = re.compile(r"[*?[]")
_TIMEOUT_SECONDS = 30


def is_address(location: str) -> bool:
    return bool(_ADDRESS.match(location))


@cache
def copied(address: str, folder: Path) -> list[Path]:
    """Copies of the files at an address, which may be a pattern of `s3://`, in a folder; made once by each process.

    Credentials for `s3://` are those of the environment (AWS_ACCESS_KEY_ID and so on, a profile, the machine's role); a
    store other than Amazon's is named by AWS_ENDPOINT_URL. Raises DataError where the address cannot be read.
    """
    try:
        if not address.lower().startswith("s3://"):
            return [_downloaded(address, folder)]
        paths = _of_bucket(address[len("s3://") :], folder)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{address}: cannot be read ({reason}); check the address, the network and, for s3, the AWS_* variables"
        ) from error
    if not paths:
        raise DataError(f"{address}: no file is of this pattern; check the address in the data settings")
    return paths


def _downloaded(address: str, folder: Path) -> Path:
    path = _place(address, folder)
    with urlopen(address, timeout=_TIMEOUT_SECONDS) as response, path.open("wb") as file:
        shutil.copyfileobj(response, file)
    return path


def _of_bucket(key: str, folder: Path) -> list[Path]:
    """Copies of the file `bucket/key`, or of all files that match it where it is a pattern."""
    from pyarrow import fs  # takes a while to load, and is seldom needed

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        store = fs.S3FileSystem(endpoint_override=endpoint)
    else:
        store, key = fs.FileSystem.from_uri(f"s3://{key}")  # which looks up the bucket's region
    names = [key]
    if plain := _WILDCARD.search(key):
        above = fs.FileSelector(key[: plain.start()].rpartition("/")[0], recursive=True)
        names = sorted(one.path for one in store.get_file_info(above) if one.is_file and _matches(one.path, key))
    paths = []
    for name in names:
        paths.append(_place(name, folder))
        with store.open_input_stream(name) as source, paths[-1].open("wb") as file:
            shutil.copyfileobj(source, file)
    return paths


def _matches(path: str, pattern: str) -> bool:
    """Whether each part between slashes matches the pattern's."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _place(address: str, folder: Path) -> Path:
    """The path of a copy, under the file's own name, by which Parquet files are known."""
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2] or "file"
    return Path(tempfile.mkdtemp(dir=folder)) / name
