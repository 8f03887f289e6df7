"""An object store that fails: races, killed writers, refused credentials, no answers, damage; and the cache's limit."""

import http.client
import itertools
import json
import os
import pickle
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from object_store import ObjectStoreServer

from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.store import Artifact, ArtifactStore, Slot, lease, object_storage, objects, version_cache
from movierec_engine.store.mirror import Mirror
from movierec_engine.store.object_storage import ObjectStorage
from movierec_engine.store.objects import AwayError, LostRaceError, Objects

MODEL = Slot("trained_model", "small", "ease", "cpu")


def publish(store: ArtifactStore, text: str = "hello") -> Artifact:
    return store.publish(MODEL, lambda folder: write(folder, text), key="aaaa", fingerprint="f00d")


def write(folder: Path, text: str) -> None:
    (folder / "data.txt").write_text(text)


def text_of(artifact: Artifact) -> str:
    return (artifact.verify().folder / "data.txt").read_text()


def objects_of(store: ArtifactStore) -> Objects:
    assert isinstance(store.storage, ObjectStorage)
    return store.storage._objects


def on_another_host(monkeypatch: pytest.MonkeyPatch, url: str, tmp_path: Path, **more: bool) -> ArtifactStore:
    monkeypatch.setenv("MOVIEREC_LOCAL", str(tmp_path / "another host"))
    return ArtifactStore(url, **more)


def manifest_copies(host: Path) -> list[Path]:
    """What a host has of the manifests that it has read one by one."""
    (cache,) = (host / ".cache").iterdir()
    return [*cache.glob("manifests/*/*/*/*/*.json"), *cache.glob("answers/manifest of *.json")]


def test_who_comes_late_to_a_pointer_leaves_it_as_it_is(bucket: str) -> None:
    kept = Objects(bucket)
    first = kept.write("pointers/small/serving.json", b"1", None)
    second = kept.write("pointers/small/serving.json", b"2", first)
    for tag in (None, first):
        with pytest.raises(LostRaceError, match="another process has changed it"):
            kept.write("pointers/small/serving.json", b"3", tag)
    assert kept.read("pointers/small/serving.json") == (b"2", second)
    assert kept.write("pointers/small/serving.json", b"2", first) == second, "an attempt whose answer was lost"


def test_a_killed_holders_lease_is_taken_over_and_it_changes_nothing_more(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(bucket)
    made, other = publish(store), publish(store)
    store.point("serving", made, {})
    lock = "pointers/small/decisions.lock"
    with pytest.raises(StoreError, match="another process may go on in its place"), store.storage.hold(lock, 1):
        monkeypatch.setattr(lease, "LEASE_SECONDS", 0.05)  # for the other one, who sees no renewal
        with ArtifactStore(bucket).storage.hold(lock, 5):
            monkeypatch.setattr(lease, "TRUSTED_SECONDS", 0.0)  # as if the first one had slept
            store.point("serving", other, {})
    assert store.pointed("serving", "small") == made


def test_a_half_written_version_is_none_and_its_files_are_not_sent_twice(bucket: str, tmp_path: Path) -> None:
    """A writer that is killed before the manifest."""
    store = ArtifactStore(bucket)
    write(tmp_path, "hello")
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    store.storage.upload(tmp_path, {"files": {"data.txt": {"size": 5, "sha256": digest}}})
    assert (list(store.slots("trained_model")), store.versions(MODEL), store.latest(MODEL)) == ([], [], None)
    sent: list[str] = []
    own = objects_of(store)
    upload = own.upload
    own.upload = lambda key, path: (sent.append(key), upload(key, path))[1]  # type: ignore[method-assign, func-returns-value]
    made = publish(store, "hello")
    assert sent == []
    publish(store, "other")
    assert len(sent) == 1
    assert text_of(made) == "hello"


def test_sweeping_deletes_what_no_manifest_names_of_days_that_are_over(bucket: str) -> None:
    store = ArtifactStore(bucket)
    made = publish(store)
    own = objects_of(store)
    old = f"content/2026-01-02/{made.files['data.txt']['sha256']}"
    manifest = (store.storage.manifest(MODEL, made.version) or "").replace(made.content, "2026-01-02")
    own.write(old, b"hello", None)
    own.write(f"versions/{MODEL}/20260102T000000000Z-old-0000.json", manifest.encode(), None)
    own.write("content/2026-01-02/half", b"x", None)
    own.write(f"content/{made.content}/half", b"x", None)
    store.storage.sweep()
    assert {one.key for one in own.list("content/")} == {
        old, f"content/{made.content}/half", f"content/{made.content}/{made.files['data.txt']['sha256']}"
    }  # fmt: skip
    own.write("content/2026-01-02/half", b"x", None)
    own.write(f"versions/{MODEL}/20260103T000000000Z-bad-0000.json", b"{", None)
    with pytest.raises(StoreError, match="not a readable manifest"):
        store.storage.sweep()
    assert own.read("content/2026-01-02/half")


def test_refused_credentials_are_one_sentence_without_them_and_a_reader_goes_on(
    server: ObjectStoreServer, bucket: str
) -> None:
    writer, reader = ArtifactStore(bucket), ArtifactStore(bucket, offline=True)
    made = publish(writer)
    writer.point("serving", made, {})
    assert reader.pointed("serving", "small") == made
    server.heed_credentials(True)
    try:
        for ask in (lambda: writer.latest(MODEL), lambda: list(writer.slots("splits")), lambda: publish(writer)):
            with pytest.raises(AwayError, match="credentials of the environment are refused") as refused:
                ask()
            assert "\n" not in str(refused.value)
            assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(refused.value)
        for late in (reader, ArtifactStore(bucket, offline=True)):
            assert text_of(late.pointed("serving", "small")) == "hello"  # type: ignore[arg-type]
    finally:
        server.heed_credentials(False)


def test_while_nobody_answers_a_reader_does_with_what_its_host_has_read(
    server: ObjectStoreServer, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also one that has just started; what was never read here is an error of one sentence."""
    made = publish(ArtifactStore(bucket))
    reader = on_another_host(monkeypatch, bucket, tmp_path, offline=True)
    before = (reader.changes("trained_model", "small"), reader.versions(MODEL), list(reader.slots("trained_model")))
    assert text_of(reader.require(MODEL)) == "hello"
    monkeypatch.setattr(object_storage, "RECENT_SECONDS", -1.0)
    with server.away(), monkeypatch.context() as impatient:
        impatient.setattr(objects, "SMALL_SECONDS", 0.1)
        started = ArtifactStore(bucket, offline=True)
        for one in (reader, started):
            assert (
                one.changes("trained_model", "small"),
                one.versions(MODEL),
                list(one.slots("trained_model")),
            ) == before
            assert one.latest(MODEL) == made
            assert text_of(one.require(MODEL)) == "hello"
        with pytest.raises(AwayError, match="out of reach"):
            started.latest(MODEL.beside("faiss_index"))
    newer = publish(ArtifactStore(bucket), "newer")
    monkeypatch.setattr(reader.storage, "_away_until", 1.0)
    assert reader.latest(MODEL) == newer


def test_an_absent_endpoint_is_one_sentence(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(AwayError, match=r"^s3://nowhere/x: the object store is out of reach") as absent:
            ArtifactStore("s3://nowhere/x").latest(MODEL)
    assert "\n" not in str(absent.value)


@contextmanager
def refusing(status: int, body: str) -> Iterator[list[str]]:
    """An object store that refuses every request; the paths that were asked for."""
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_PUT = do_HEAD = do_POST = _answer

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server, pytest.MonkeyPatch.context() as patch:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield asked
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "code"), [(403, "RequestTimeTooSkewed"), (400, "ExpiredToken"), (403, "SignatureDoesNotMatch")]
)
def test_a_store_that_refuses_is_one_sentence_by_whatever_word_and_not_asked_again(
    status: int, code: str, bucket: str
) -> None:
    """As S3 says it; the tests' server never does."""
    with (
        refusing(status, f"<Error><Code>{code}</Code><Message>It is refused.</Message></Error>") as asked,
        pytest.raises(AwayError, match="are refused; renew them if they have expired, and set this machine's cl"),
    ):
        ArtifactStore(f"s3://refused/{code}").latest(MODEL)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "said", "sentence"),
    [
        (400, "AuthorizationHeaderMalformed", "the region 'a' is wrong; expecting 'b'", "set AWS_REGION to the bucket"),
        (301, "PermanentRedirect", "must be addressed using the specified endpoint", "set AWS_REGION to the bucket's"),
        (400, "IllegalLocationConstraintException", "is incompatible", "set AWS_REGION to the bucket's"),
        (
            501,
            "NotImplemented",
            "A header implies more",
            r"501 Not Implemented, NotImplemented: A .*conditional writes",
        ),
        (400, "InvalidRequest", "It is\nodd", r"\(400 Bad Request, InvalidRequest: It is odd\); look at AWS_ENDPOINT_"),
        (405, "", "", r"\(405 Method Not Allowed\); look at AWS_ENDPOINT_URL, AWS_REGION and the bucket"),
        (
            500,
            "InternalError",
            "Oops",
            r"\(500 Internal Server Error, InternalError: Oops\); try again once it is",
        ),
    ],
)
def test_a_store_that_answers_and_refuses_is_not_told_as_out_of_reach(
    status: int, code: str, said: str, sentence: str, bucket: str
) -> None:
    body = f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>{said}</Message></Error>" if code else ""
    with refusing(status, body):
        asking = Objects(f"s3://refused/{status}-{code}")  # a client remembers its endpoint
        requests = (
            lambda: asking.read("latest/x"),
            lambda: asking.list("latest/"),
            lambda: asking.write("latest/x", b"1", None),
            lambda: asking.upload("content/x", b"1"),
        )
        for request in requests:
            with pytest.raises(AwayError, match=sentence) as refused:
                request()
            assert "out of reach" not in str(refused.value)
            assert "\n" not in str(refused.value)


def test_a_store_that_answers_503_three_times_is_asked_again(
    server: ObjectStoreServer, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that is asked too much."""
    numbers = itertools.count()

    class Overloaded(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if next(numbers) % 4:
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            asked = http.client.HTTPConnection("127.0.0.1", server.port)
            asked.request(self.command, self.path, body, dict(self.headers))
            answer = asked.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.read())

        do_GET = do_PUT = do_HEAD = do_DELETE = _answer

        def log_message(self, format: str, *arguments: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Overloaded) as overloaded:
        threading.Thread(target=overloaded.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{overloaded.server_port}")
        asking = Objects(f"{bucket}-of-an-overloaded-store")  # a client remembers its endpoint
        first = asking.write("pointers/small/serving.json", b"1", None)
        second = asking.write("pointers/small/serving.json", b"2", first)
        assert asking.read("pointers/small/serving.json") == (b"2", second)
        assert [one.key for one in asking.list("pointers/")] == ["pointers/small/serving.json"]
        overloaded.shutdown()
    assert next(numbers) == 13, "the first was answered at once, each of the others at the fourth time"


def test_a_missing_bucket_is_named(bucket: str) -> None:
    with pytest.raises(StoreError, match="there is no such bucket"):
        publish(ArtifactStore("s3://never-made/x"))


@pytest.mark.parametrize("damage", [b"hell", b"hellO", None])
def test_an_object_that_is_not_what_was_written_is_refused(
    bucket: str, damage: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = publish(ArtifactStore(bucket))
    own, key = Objects(bucket), f"content/{made.content}/{made.files['data.txt']['sha256']}"
    own.delete([key])
    if damage is not None:
        own.write(key, damage, None)
    elsewhere = on_another_host(monkeypatch, bucket, tmp_path).require(MODEL)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"data\.txt|content/.*(not there|shorter)"):
            elsewhere.verify()
    assert text_of(made) == "hello", "the host that wrote it has it"


def test_a_damaged_copy_on_this_host_is_fetched_again(bucket: str) -> None:
    made = publish(ArtifactStore(bucket))
    (made.folder / "data.txt").write_text("hellO")
    assert text_of(made) == "hello"


@pytest.mark.parametrize(
    "damage", [b"", b'{"format": 1, "ki', b"\xff\xfe", b"[]", b'{"slot": "trained_model/small/als/cpu"}']
)
@pytest.mark.parametrize("offline", [False, True])
def test_a_damaged_copy_of_a_manifest_is_asked_for_again(
    offline: bool, damage: bytes, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = publish(ArtifactStore(bucket))
    elsewhere = on_another_host(monkeypatch, bucket, tmp_path, offline=offline)
    assert (elsewhere.versions(MODEL), elsewhere.resolve(made.reference)) == ([made], made)
    copies = manifest_copies(tmp_path / "another host")
    assert len(copies) == 1 + offline
    sound = [copy.read_bytes() for copy in copies]
    for copy in copies:
        copy.write_bytes(
            damage if copy.parts[-2] != "answers" else json.dumps(damage.decode(errors="replace")).encode()
        )
    started = ArtifactStore(bucket, offline=offline)
    assert (started.versions(MODEL), started.resolve(made.reference)) == ([made], made)
    assert [copy.read_bytes() for copy in copies] == sound


@pytest.mark.parametrize("offline", [False, True])
def test_a_wrong_answer_for_a_manifest_is_not_kept(
    offline: bool, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a proxy's page for signing in, with status 200."""
    made = publish(ArtifactStore(bucket))
    own, key = Objects(bucket), f"versions/{made.reference}.json"
    sound, _ = own.read(key)  # type: ignore[misc]
    own.replace(key, b"<html>Sign in</html>")
    monkeypatch.setattr(object_storage, "RECENT_SECONDS", -1.0)
    elsewhere = on_another_host(monkeypatch, bucket, tmp_path, offline=offline)
    assert elsewhere.versions(MODEL) == []
    with pytest.raises(StoreError, match="not a readable manifest"):
        elsewhere.resolve(made.reference)
    own.replace(key, sound)
    for reader in (elsewhere, ArtifactStore(bucket, offline=offline)):
        assert (reader.versions(MODEL), reader.resolve(made.reference)) == ([made], made)


def test_a_copy_of_a_manifest_that_no_longer_fits_the_files_is_asked_for_again(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Readable all the same, as where a checksum in it was changed on the disk."""
    made = publish(ArtifactStore(bucket))
    elsewhere = on_another_host(monkeypatch, bucket, tmp_path, offline=True)
    assert (elsewhere.versions(MODEL), elsewhere.resolve(made.reference)) == ([made], made)
    monkeypatch.setattr(object_storage, "RECENT_SECONDS", -1.0)
    reads: tuple[Callable[[], Artifact], ...] = (
        lambda: elsewhere.versions(MODEL)[0],
        lambda: elsewhere.resolve(made.reference),
    )
    for read in reads:
        for copy in manifest_copies(tmp_path / "another host"):
            copy.write_text(copy.read_text().replace(made.files["data.txt"]["sha256"], "0" * 64))
        with pytest.raises(StoreError, match="is not there"):
            read().verify()
        assert text_of(read()) == "hello"
        elsewhere.storage.discard(MODEL, made.version)
        assert elsewhere.resolve(made.reference) == elsewhere.versions(MODEL)[0] == made


@pytest.mark.parametrize("damage", ["", None])
def test_a_damaged_manifest_of_a_mirror_is_brought_again(bucket: str, damage: str | None) -> None:
    made = publish(ArtifactStore(bucket))
    mirror = Mirror(bucket)
    assert mirror.refresh() == []
    path = mirror.folder / made.reference / "manifest.json"
    sound = path.read_text()
    path.unlink() if damage is None else path.write_text(damage)
    assert mirror.refresh() == []
    assert path.read_text() == sound


def test_a_fetch_that_was_interrupted_goes_on_with_what_it_has(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def two(folder: Path) -> None:
        write(folder, "hello")
        (folder / "large.bin").write_bytes(bytes(range(256)) * 100)

    ArtifactStore(bucket).publish(MODEL, two, key="aaaa", fingerprint="f00d")
    monkeypatch.setattr(objects, "PART_BYTES", 10_000)
    made = on_another_host(monkeypatch, bucket, tmp_path).require(MODEL)
    own = objects_of(ArtifactStore(bucket))
    key, size = f"content/{made.content}/{made.files['large.bin']['sha256']}", made.files["large.bin"]["size"]
    own.download([(key, size, tmp_path / "by hand")])
    assert (tmp_path / "by hand").read_bytes() == bytes(range(256)) * 100
    own.delete([key])
    with pytest.raises(StoreError, match="is not there"):
        _ = made.folder
    own.write(key, (tmp_path / "by hand").read_bytes(), None)
    own.delete([f"content/{made.content}/{made.files['data.txt']['sha256']}"])
    assert text_of(made) == "hello", "it was fetched before the interruption"
    assert (made.folder / "large.bin").read_bytes() == bytes(range(256)) * 100


def test_a_host_whose_disk_takes_no_writing_reads_what_it_has_and_says_so_once(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Full, or mounted read-only; here files stand where its folders were, which root cannot write to either."""
    made, newer = publish(ArtifactStore(bucket)), publish(ArtifactStore(bucket), "newer")
    reader = on_another_host(monkeypatch, bucket, tmp_path, offline=True)
    assert text_of(reader.resolve(made.reference)) == "hello"
    (cache,) = (tmp_path / "another host" / ".cache").iterdir()
    for name in ("answers", "locks", "manifests", "partial"):
        shutil.rmtree(cache / name, ignore_errors=True)
        (cache / name).touch()
    started = ArtifactStore(bucket, offline=True)
    assert started.latest(MODEL) == newer
    assert started.versions(MODEL) == [made, newer]
    assert text_of(started.resolve(made.reference)) == "hello"
    with pytest.raises(OSError, match="locks"):
        _ = started.resolve(newer.reference).folder
    said = [one.getMessage() for one in caplog.records]
    assert len([one for one in said if "is not kept for when the store is away" in one]) == 1


def test_the_cache_keeps_its_limit_while_several_use_it_and_what_is_in_use_stays(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = ArtifactStore(bucket)
    made = [publish(store, str(number) * 1000) for number in range(6)]
    monkeypatch.setenv("MOVIEREC_CACHE_GB", str(2500 / 2**30))
    readers = [on_another_host(monkeypatch, bucket, tmp_path) for _ in range(3)]
    versions = tmp_path / "another host" / ".cache"

    def cached() -> int:
        return sum(path.stat().st_size for path in versions.glob("*/versions/**/data.txt"))

    failed: list[object] = []

    def read(reader: ArtifactStore) -> None:
        for _ in range(2):
            for number, one in enumerate(made):
                if text_of(reader.resolve(one.reference)) != str(number) * 1000:
                    failed.append(one)

    threads = [threading.Thread(target=read, args=(one,)) for one in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, cached()) == ([], 6000), "all were used within the last hour"
    old = time.time() - 2 * version_cache.IN_USE_SECONDS
    for folder in versions.glob("*/versions/*/*/*/*/*"):
        os.utime(folder, (old, old))
    assert text_of(readers[0].resolve(made[3].reference)) == "3" * 1000
    newest = publish(store, "n" * 1000)
    assert text_of(readers[1].resolve(newest.reference)) == "n" * 1000
    assert cached() == 2000, "what was used longest ago went until the limit was kept"
    assert text_of(readers[2].resolve(made[0].reference)) == "0" * 1000, "it is fetched again"


@pytest.mark.parametrize("limit", ["much", "-3", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(limit: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEREC_CACHE_GB", limit)
    with pytest.raises(ConfigError, match=f"MOVIEREC_CACHE_GB={limit} must be a number of GB"):
        ArtifactStore(bucket)


@pytest.mark.parametrize("variable", objects.ENDPOINT_VARIABLES)
@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:9000", "storage", "http://", "http:///x", "http://a b", "http://ä", "http://a:99999"]
)
def test_an_endpoint_that_is_no_address_is_one_sentence(
    endpoint: str, variable: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, endpoint)
    objects._client.cache_clear()
    with pytest.raises(ConfigError, match=f"^{variable} is no address; it begins with http:// or https://"):
        ArtifactStore(bucket).latest(MODEL)


@pytest.mark.parametrize(
    "url", ["http://host/x", "s3://", "s4://bucket", "file:///tmp/x", "s3:bucket", "s3:/bucket/x", "gs:"]
)
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match=r"is no artifact store; give a folder, or a URL such as s3://"):
        ArtifactStore(url)


def test_a_version_can_be_handed_to_another_process(bucket: str) -> None:
    made = publish(ArtifactStore(bucket))
    again = pickle.loads(pickle.dumps(made))  # noqa: S301
    assert again == made
    assert text_of(again) == "hello"
