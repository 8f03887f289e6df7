"""Files at addresses: copied here once, from `https://` by Python and from `s3://` by DuckDB's httpfs."""

import http.client
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from movierec_engine.errors import DataError

if TYPE_CHECKING:
    import duckdb

_ADDRESS = re.compile(r"(s3|https?)://", re.IGNORECASE)
_TIMEOUT_SECONDS = 30


def is_address(location: str) -> bool:
    return bool(_ADDRESS.match(location))


@cache
def copied(address: str, folder: Path) -> list[Path]:
    """Copies of the files at an address, which may be a pattern of `s3://`, in a folder; made once by each process.

    Credentials for `s3://` are those of the environment (AWS_ACCESS_KEY_ID and so on, a profile, the machine's role); a
    store other than Amazon's is named by AWS_ENDPOINT_URL. Raises DataError where the address cannot be read.
    """
    import duckdb  # a server has none

    try:
        if not address.lower().startswith("s3://"):
            return [_downloaded(address, folder)]
        with duckdb.connect() as database:
            _prepare(database)
            found = database.execute("SELECT file FROM glob(?) ORDER BY file", [address]).fetchall()
            names = [name for (name,) in found] if set("*?[") & set(address) else [address]
            paths = [_copy(database, name, folder) for name in names]
    except (duckdb.Error, OSError, http.client.HTTPException, ValueError) as error:
        reason = str(error).splitlines()[0]
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


def _prepare(database: "duckdb.DuckDBPyConnection") -> None:
    database.execute("INSTALL httpfs; LOAD httpfs; INSTALL aws; LOAD aws")
    options = "TYPE s3, PROVIDER credential_chain"
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        scheme, _, host = endpoint.rpartition("://")
        host = host.rstrip("/").replace("'", "''")
        options += f", ENDPOINT '{host}', URL_STYLE 'path', USE_SSL {'false' if scheme == 'http' else 'true'}"
    database.execute(f"CREATE SECRET ({options})")


def _copy(database: "duckdb.DuckDBPyConnection", address: str, folder: Path) -> Path:
    path = _place(address, folder)
    quoted = str(path).replace("'", "''")
    database.execute(f"COPY (SELECT content FROM read_blob(?)) TO '{quoted}' (FORMAT blob)", [address])
    return path


def _place(address: str, folder: Path) -> Path:
    """The path of a copy, under the file's own name, by which Parquet files are known."""
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2] or "file"
    return Path(tempfile.mkdtemp(dir=folder)) / name
