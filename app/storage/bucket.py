"""Files in a bucket of a server that speaks S3, for services that share no disk.

A file is sent in one request with its length: the server has all of it or nothing, so nothing unfinished is ever seen.
"""

import os
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from app.core.errors import DiskFull, StorageUnavailable
from app.storage.folder import TMP_SUFFIX
from app.storage.store import Listed

if TYPE_CHECKING:
    from obstore.store import S3Store

CONNECT_S, ANSWER_S = 5.0, 60.0
RETRIES, RETRY_S = 3, 10.0
# What servers call it: https://github.com/minio/minio/blob/master/cmd/api-errors.go, Ceph and others.
_FULL = ("507 ", "QuotaExceeded", "StorageFull", "InsufficientStorage", "no space left")
_SAID = re.compile(r"<Code>([^<]*)</Code>(?:.*?<Message>([^<]*)</Message>)?", re.DOTALL)
_NO_BUCKET = "NoSuchBucket"


class Bucket:
    """A store that is a bucket, or what lies below a prefix in one: `s3://bucket` or `s3://bucket/prefix`.

    Who may use it and where it is say the variables that all tools of S3 read: AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL; or the machine's own role. A request that
    fails for a reason that may pass is sent again for up to 10 s.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = _opened(url)

    def write(self, path: str, data: bytes) -> None:
        """One request."""
        import obstore

        try:
            obstore.put(self._store, path, data, use_multipart=False)
        except Exception as error:  # noqa: BLE001 - its errors have no base of their own
            _raise(error)

    def read(self, path: str) -> bytes:
        """One request."""
        import obstore

        try:
            return bytes(obstore.get(self._store, path).bytes())
        except FileNotFoundError as error:
            if _NO_BUCKET in str(error):
                _raise(error)
            raise FileNotFoundError(f"{self.url}/{path}") from error
        except Exception as error:  # noqa: BLE001
            _raise(error)

    def has(self, path: str) -> bool:
        """One request, for its head."""
        import obstore

        try:
            obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        except Exception as error:  # noqa: BLE001
            _raise(error)
        return True

    def remove(self, path: str) -> None:
        """One request."""
        import obstore

        try:
            obstore.delete(self._store, path)
        except FileNotFoundError as error:
            if _NO_BUCKET in str(error):
                _raise(error)
        except Exception as error:  # noqa: BLE001
            _raise(error)

    def check_writable(self, folder: str, needed_bytes: int = 0) -> None:
        """Writes a byte and removes it. How much room there is no server says, so `needed_bytes` are not asked for."""
        del needed_bytes
        probe = f"{folder}/.{secrets.token_hex(4)}{TMP_SUFFIX}"
        self.write(probe, b"x")
        self.remove(probe)

    def folders(self) -> list[str]:
        """What stands before the first `/` of any path."""
        import obstore

        try:
            return list(obstore.list_with_delimiter(self._store)["common_prefixes"])
        except Exception as error:  # noqa: BLE001
            _raise(error)

    def files(self, folder: str) -> Iterator[Listed]:
        """A thousand with each request."""
        import obstore

        try:
            for batch in obstore.list(self._store, prefix=f"{folder}/"):
                for each in batch:
                    name = each["path"].removeprefix(f"{folder}/")
                    if "/" not in name:
                        yield Listed(name, each["last_modified"].timestamp())
        except Exception as error:  # noqa: BLE001
            _raise(error)

    def free_bytes(self) -> int | None:
        """Nobody can say."""
        return None


def _opened(url: str) -> "S3Store":
    from obstore.store import S3Store

    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    client: dict[str, Any] = {"timeout": timedelta(seconds=ANSWER_S), "connect_timeout": timedelta(seconds=CONNECT_S)}
    retry: dict[str, Any] = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)}
    return S3Store.from_url(url, client_options=client | {"allow_http": plain}, retry_config=retry)  # type: ignore[arg-type]


def _raise(error: Exception) -> NoReturn:
    said = str(error).split("\n\nDebug source", 1)[0]
    if any(word.lower() in said.lower() for word in _FULL):
        raise DiskFull from error
    raise StorageUnavailable(
        f"The bucket of the pictures cannot be used right now ({_brief(said)}). Nothing is lost: accepted jobs wait.",
        hint="Look after the server of ATELIER_OUTPUT_BUCKET; it goes on by itself once the bucket can be used again.",
    ) from error


def _brief(said: str) -> str:
    """What the server says; where there is no answer, the library's words."""
    found = _SAID.search(said)
    return ": ".join(each for each in found.groups() if each) if found else " ".join(said.split())[:200]
