"""The uploaded pictures: a file each, named by the SHA-256 of its bytes, and a row that says what it is."""

import hashlib
import io
import threading
from typing import Any

from PIL import Image
from sqlalchemy import Connection, Engine, Row, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from app.core.control import Preprocessor
from app.core.errors import FieldError, InputsFull, InvalidRequest, StorageUnavailable, UnknownInput, UnreadablePicture
from app.core.schema import InputRef
from app.core.settings import Settings
from app.database import clock, inputs, reading, writing
from app.inputs import upkeep
from app.inputs.files import input_path
from app.inputs.said import what_it_says
from app.picture import edges
from app.picture.crop import cropped
from app.picture.fit import flat
from app.picture.plain import Plain, make_plain
from app.storage import Store

QUOTA_LOCK = 5001_0002  # any number, the same in every service: of two uploads one is counted after the other


class InputStore:
    """Pictures that jobs start from. Every method may be called by any thread; no path ever comes from a caller.

    Files are `inputs/<sha256>.png` in `store`. However many call, one picture is decoded at a time: memory is bounded.
    """

    def __init__(self, database: Engine, store: Store, settings: Settings) -> None:
        self._database = database
        self._store = store
        self._max_file_bytes = settings.max_input_bytes
        self._max_pixels = settings.max_input_pixels
        self._max_bytes = settings.inputs_max_bytes
        self._decoding = threading.Lock()

    def put(self, data: bytes, field: str = "picture", said: dict[str, Any] | None = None) -> InputRef:
        """Keep the picture in a PNG, JPEG or WebP file: upright, in sRGB, without anything but its pixels.

        `said` is what its file said of its making, where that is known otherwise.
        When this returns it survives a power cut, and stays for an hour at least. The same pixels are kept once.
        Raises InvalidRequest, which names `field` and what is allowed, InputsFull, DiskFull, StorageUnavailable.
        """
        try:
            with self._decoding:
                plain = make_plain(data, max_bytes=self._max_file_bytes, max_pixels=self._max_pixels)
        except UnreadablePicture as error:
            limits = f"of at most {self._max_file_bytes} bytes and {self._max_pixels} pixels"
            allowed = f"allowed is one still PNG, JPEG or WebP picture {limits}. {error.message}"
            raise InvalidRequest([FieldError(field, f"{len(data)} bytes", allowed)]) from error
        sha256, said = hashlib.sha256(plain.png).hexdigest(), what_it_says(data) if said is None else said
        with reading(self._database) as connection:
            known = self._row(connection, sha256)
            full = known is None and self._is_full(connection, len(plain.png))
        if full:
            self.free_unused()
            with reading(self._database) as connection:
                self._refuse_if_full(connection, len(plain.png))
        self._write_if_missing(sha256, plain.png)
        try:
            return self._keep(sha256, plain, said)
        except IntegrityError:  # another service kept the same picture between our look and our insert
            return self._keep(sha256, plain, said)

    def crop(self, sha256: str, left: int, top: int, width: int, height: int) -> InputRef:
        """Keep a part of a picture, as what was said of the whole is said of it. Raises UnknownInput, and as `put`."""
        whole = self.ref(sha256)
        try:
            with self._decoding:
                part = cropped(self.open(sha256), left, top, width, height)
        except ValueError as error:
            box = f"{width}x{height} at {left},{top}"
            raise InvalidRequest([FieldError("width", box, str(error))]) from None
        return self.put(part, said=whole.said)

    def ref(self, sha256: str) -> InputRef:
        """What is known of a picture. Raises UnknownInput."""
        with reading(self._database) as connection:
            row = self._row(connection, sha256)
        if row is None:
            raise UnknownInput(f"There is no uploaded picture {sha256!r}.")
        return _ref(row)

    def open(self, sha256: str) -> bytes:
        """The PNG file of a picture. Raises UnknownInput, also if its file is gone or damaged; StorageUnavailable."""
        self.ref(sha256)
        try:
            data = self._store.read(input_path(sha256))
        except FileNotFoundError as error:
            raise UnknownInput(f"The file of the uploaded picture {sha256!r} is gone.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise UnknownInput(f"The file of the uploaded picture {sha256!r} is damaged.")
        return data

    def hint(self, sha256: str, preprocessor: Preprocessor, width: int, height: int) -> bytes:
        """What a control model sees of a picture in that size, as a PNG. Raises what `open` raises."""
        data = self.open(sha256)
        with self._decoding, Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            seen = edges.hint(flat(picture), preprocessor, width, height)
            stream = io.BytesIO()
            seen.save(stream, "PNG")
        return stream.getvalue()

    def free_unused(self, min_age_s: float = upkeep.GRACE_S) -> int:
        """Remove what no open job and no saved picture names, and what a crash left; how many pictures were freed.

        What was uploaded less than `min_age_s` ago stays: its job may be on its way.
        """
        return upkeep.free_unused(self._database, self._store, min_age_s)

    def used_bytes(self) -> int:
        """What all pictures take."""
        with reading(self._database) as connection:
            return _used(connection)

    def _keep(self, sha256: str, plain: Plain, said: dict[str, Any]) -> InputRef:
        values = {"sha256": sha256, "width": plain.width, "height": plain.height, "mode": plain.mode}
        values |= {"bytes": len(plain.png), "said": said}
        with writing(self._database) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": QUOTA_LOCK})
            row, now = self._row(connection, sha256), clock(connection)
            if row is None:
                self._refuse_if_full(connection, len(plain.png))
                connection.execute(insert(inputs).values(**values, uploaded_at=now))
            else:
                # A label once seen stays: the same pixels were made by a machine whatever the next file says.
                values["said"] = row.said if row.said.get("labels") else said
                changed = update(inputs).where(inputs.c.sha256 == sha256)
                connection.execute(changed.values(uploaded_at=now, said=values["said"]))
            # Inside the transaction: from here on nobody frees it, and whoever did so before is through.
            self._write_if_missing(sha256, plain.png)
        return InputRef(**values)

    def _write_if_missing(self, sha256: str, png: bytes) -> None:
        try:
            if self._store.read(input_path(sha256)) == png:
                return
        except (FileNotFoundError, StorageUnavailable):
            pass  # a disk that is broken says so when it is written to
        self._store.write(input_path(sha256), png)

    def _refuse_if_full(self, connection: Connection, more: int) -> None:
        if self._is_full(connection, more):
            used = f"{_used(connection)} of the {self._max_bytes} bytes that their owner allows them"
            raise InputsFull(
                f"The pictures that jobs start from take {used}; this one has {more}.",
                hint="Those that no job uses go after an hour; or raise ATELIER_INPUTS_MAX_BYTES.",
            )

    def _is_full(self, connection: Connection, more: int) -> bool:
        return _used(connection) + more > self._max_bytes

    def _row(self, connection: Connection, sha256: str) -> Row[Any] | None:
        return connection.execute(select(inputs).where(inputs.c.sha256 == sha256)).one_or_none()


def _used(connection: Connection) -> int:
    return int(connection.scalar(select(func.sum(inputs.c.bytes))) or 0)


def _ref(row: Row[Any]) -> InputRef:
    return InputRef(**{name: getattr(row, name) for name in InputRef.model_fields})
