"""Objects below a URL: small ones that are read and replaced by compare-and-swap, large ones that files are moved to.

Endpoint and credentials are the environment's (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, ... and their like of Google's and
Azure's), or the machine's own role. Every error is one sentence, without either.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from movierec_engine.errors import ConfigError, MissingExtraError, StoreError
from movierec_engine.store.storage import LostRaceError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
REMEDY = "materialize the version again, or repair it from another store by `movierec store copy FROM TO --verify`"
"""Remedy for a damaged object."""
PART_BYTES = 8 << 20
"""Large objects are moved in parts of this size."""
TRANSFERS = 8
"""Parts or files that are moved at a time."""
SMALL_SECONDS, PART_SECONDS = 3, 60
"""How long a small object, or a part of a large one, may take; it is tried again for three times as long in all."""
_RETRIES = 8
"""At most: a store that is asked too much answers 503 at once, and half of such answers make a request fail in 512."""
_REFUSED = re.compile(
    r"\b40[13] (Forbidden|Unauthorized)|ExpiredToken|InvalidAccessKeyId|SignatureDoesNotMatch|RequestTimeTooSkewed"
)
_OTHER_REGION = re.compile(
    r"PermanentRedirect|IllegalLocationConstraint|AuthorizationHeaderMalformed</Code>.*region|without LOCATION"
)
_STATUS = re.compile(r"Server returned non-2xx status code: (\d{3} [A-Za-z -]+)")
_SAID = re.compile(r"<Code>(.+?)</Code>(?:\s*<Message>(.+?)</Message>)?", re.DOTALL)


class AwayError(StoreError):
    """The object store cannot be reached, or refuses a request or its credentials."""


@dataclass(frozen=True)
class Object:
    """An object as a listing shows it. tag: differs once its content does. modified: by the object store's clock."""

    key: str
    size: int
    tag: str
    modified: datetime


class Objects:
    """The objects below a URL such as s3://bucket/prefix, by their keys. Not to be used across a fork."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def read(self, key: str) -> tuple[bytes, str] | None:
        """A small object's content and its tag, or None where there is none."""

        def get(client: "ObjectStore") -> tuple[bytes, str]:
            answer = client.get(key)
            return bytes(answer.bytes()), str(answer.meta["e_tag"])

        return self._ask(key, get)

    def write(self, key: str, content: bytes, tag: str | None) -> str:
        """Replace the content that has this tag, or make the object where the tag is None; returns the new tag.

        Raises LostRaceError where there is another content by now, which leaves it as it is.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def put(client: "ObjectStore") -> str | None:
            try:
                made = client.put(key, content, mode="create" if tag is None else {"e_tag": tag}, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return None
            return str(made["e_tag"])

        made = self._ask(key, put)
        if made is None:
            found = self.read(key)  # it may be ours, by an attempt whose answer was lost
            if found is None or found[0] != content:
                raise LostRaceError(f"{self.url}/{key}: another process has changed it at this moment; try again")
            made = found[1]
        return made

    def replace(self, key: str, content: bytes) -> None:
        """Replace an object's content, whatever it is, unless somebody else replaces it at this moment."""
        found = self.read(key)
        self.write(key, content, found and found[1])

    def list(self, prefix: str) -> list[Object]:
        """The objects whose keys begin with a prefix, which ends with a slash or is empty; sorted by key."""

        def listed(client: "ObjectStore") -> list[Object]:
            found = (one for page in client.list(prefix) for one in page)
            return [Object(one["path"], one["size"], str(one["e_tag"]), one["last_modified"]) for one in found]

        return sorted(self._ask(prefix, listed) or [], key=lambda one: one.key)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are gone are gone."""
        for key in keys:
            self._ask(key, lambda client, key=key: client.delete(key))  # type: ignore[misc]

    def size(self, key: str) -> int | None:
        """An object's size in bytes, or None where there is none."""
        return self._ask(key, lambda client: int(client.head(key)["size"]))

    def holds(self, key: str, size: int, sha256: str) -> bool:
        """True if an object is there and its content, which is read, is of this size and SHA-256."""
        if self.size(key) != size:
            return False
        digest = hashlib.sha256()
        for start in range(0, size, PART_BYTES):
            digest.update(self._part(key, start, min(size, start + PART_BYTES)))
        return digest.hexdigest() == sha256

    def upload(self, key: str, content: Path | bytes) -> None:
        """Make a file's content, or what is given, an object, in one step."""
        self._ask(key, lambda client: client.put(key, content, chunk_size=PART_BYTES), PART_SECONDS)

    def download(self, moves: Iterable[tuple[str, int, Path]]) -> None:
        """Write objects of known sizes to files, several parts at a time. moves: key, size in bytes and file of each.

        Raises StoreError for an object that is not there or is shorter.
        """
        parts = [part for key, size, path in moves for part in self._parts(key, size, path)]
        with ThreadPoolExecutor(TRANSFERS) as pool:
            for _ in pool.map(lambda part: self._fetch(*part), parts):
                pass

    def _parts(self, key: str, size: int, path: Path) -> Iterator[tuple[str, int, int, Path]]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)
        yield from ((key, start, min(size, start + PART_BYTES), path) for start in range(0, size, PART_BYTES))

    def _fetch(self, key: str, start: int, end: int, path: Path) -> None:
        content = self._part(key, start, end)
        with path.open("r+b") as file:
            file.seek(start)
            file.write(content)

    def _part(self, key: str, start: int, end: int) -> bytes:
        content = self._ask(key, lambda client: bytes(client.get_range(key, start=start, end=end)), PART_SECONDS)
        if content is None or len(content) != end - start:
            what = "is not there" if content is None else "is shorter than it was written"
            raise StoreError(f"{self.url}/{key} {what}; {REMEDY}")
        return content

    def _ask(self, key: str, request: "Callable[[ObjectStore], T]", seconds: float = 0) -> T | None:
        """A request's answer; None for what is not there. seconds: SMALL_SECONDS where it is 0."""
        from obstore.exceptions import BaseError

        try:
            return request(_client(self.url, seconds or SMALL_SECONDS))
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise AwayError(f"{self.url}: there is no such bucket; make it, or set paths.artifacts") from error
            return None
        except (BaseError, OSError) as error:
            raise AwayError(self._sentence(key, error)) from error

    def _sentence(self, key: str, error: Exception) -> str:
        text = str(error).partition("\n\nDebug source")[0]
        if _REFUSED.search(text) or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
            return (
                f"{self.url}: the credentials of the environment are refused; renew them if they have expired, and set "
                "this machine's clock right if it is off"
            )
        if "NoSuchBucket" in text:
            return f"{self.url}: there is no such bucket; make it, or set paths.artifacts"
        of_s3 = self.url.startswith("s3:")
        if of_s3 and _OTHER_REGION.search(text):
            said = _said(text) or "it redirects to another region"
            return f"{self.url}: the object store refuses the region ({said}); set AWS_REGION to the bucket's"
        if status := _STATUS.search(text):
            said = ", ".join(filter(None, (status[1].strip(), _said(text))))
            return f"{self.url}: the object store answers, and refuses ({said}); {_remedy(status[1], text, of_s3)}"
        why = text.partition("\n")[0].rpartition(" - ")[2].partition(": <")[0].strip(" :")
        endpoint = "AWS_ENDPOINT_URL and " if of_s3 else ""
        return f"{self.url}: the object store is out of reach ({why}); look at {endpoint}the network"


def _said(text: str) -> str:
    """The code and the message in an error of S3's, on one line; "" where there is none."""
    found = _SAID.search(text)
    return " ".join(": ".join(filter(None, found.groups())).split())[:300] if found else ""


def _remedy(status: str, text: str, of_s3: bool) -> str:
    if status.startswith("501") or "NotImplemented" in text:
        return "it has to honour conditional writes (If-Match, If-None-Match)"
    if status.startswith("5"):
        return "try again once it is well"
    return "look at AWS_ENDPOINT_URL, AWS_REGION and the bucket" if of_s3 else "look at the bucket"


@cache
def _client(url: str, seconds: float) -> "ObjectStore":
    try:
        from obstore.store import from_url
    except ImportError as error:
        raise MissingExtraError(error) from error
    options: Any = {"timeout": f"{round(1000 * seconds)}ms", "connect_timeout": "2s"}
    if url.startswith("s3:") and any(one.startswith("http://") for one in _endpoints()):
        options["allow_http"] = True
    backoff = {"init_backoff": timedelta(seconds=0.05), "max_backoff": timedelta(seconds=1)}
    retry: Any = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=3 * seconds), "backoff": backoff}
    return from_url(url, client_options=options, retry_config=retry)


def _endpoints() -> list[str]:
    """The endpoints that the environment names. Raises ConfigError, without it, for one that is no address: the object
    store's library would panic."""
    named = {name: os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)}
    for name, endpoint in named.items():
        if not _is_address(endpoint):
            raise ConfigError(
                f"{name} is no address; it begins with http:// or https://, as http://127.0.0.1:9000 does"
            )
    return list(named.values())


def _is_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        host = re.fullmatch(r"[\w.:-]+", parts.hostname or "", re.ASCII)
        visible = re.fullmatch("[!-~]+", endpoint)
        return parts.scheme in ("http", "https") and bool(host and visible) and parts.port != 0
    except ValueError:  # no port
        return False
