"""Files at addresses: `s3://` and `https://`, copied here once by DuckDB's httpfs."""

import re
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from movierec_engine.errors import DataError

if TYPE_CHECKING:
    import duckdb

_ADDRESS = re.compile(r"(s3|https?)://", re.IGNORECASE)


def is_address(location: str) -> bool:
    return bool(_ADDRESS.match(location))


@cache
def copied(address: str, folder: Path) -> list[Path]:
    """Copies of the files at an address, which may be a pattern of `s3://`, in a folder; made once by each process.

    Credentials are those of the environment (AWS_ACCESS_KEY_ID and so on, a profile, the machine's role); an endpoint
    other than Amazon's is named by AWS_ENDPOINT_URL. Raises DataError where the address cannot be read.
    """
    import duckdb  # a server has none

    try:
        with duckdb.connect() as database:
            _prepare(database, address)
            names = [address]
            if address.lower().startswith("s3://") and set("*?[") & set(address):
                names = [
                    name for (name,) in database.execute("SELECT file FROM glob(?) ORDER BY file", [address]).fetchall()
                ]
            return [_copy(database, name, folder) for name in names] or _nothing(address)
    except (duckdb.Error, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{address}: cannot be read ({reason}); check the address, the network and, for s3, the AWS_* variables"
        ) from error


def _nothing(address: str) -> list[Path]:
    raise DataError(f"{address}: no file is of this pattern; check the address in the data settings")


def _prepare(database: "duckdb.DuckDBPyConnection", address: str) -> None:
    import os

    database.execute("INSTALL httpfs; LOAD httpfs")
    if not address.lower().startswith("s3://"):
        return
    database.execute("INSTALL aws; LOAD aws")
    options = "TYPE s3, PROVIDER credential_chain"
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        scheme, _, host = endpoint.rpartition("://")
        use_ssl = "false" if scheme == "http" else "true"
        host = host.replace("'", "''")
        options += f", ENDPOINT '{host}', URL_STYLE 'path', USE_SSL {use_ssl}"
    database.execute(f"CREATE SECRET ({options})")


def _copy(database: "duckdb.DuckDBPyConnection", address: str, folder: Path) -> Path:
    name = address.partition("?")[0].rstrip("/").rpartition("/")[2] or "file"
    path = Path(tempfile.mkdtemp(dir=folder)) / name
    quoted = str(path).replace("'", "''")
    database.execute(f"COPY (SELECT content FROM read_blob(?)) TO '{quoted}' (FORMAT blob)", [address])
    return path
