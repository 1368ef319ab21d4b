"""The client's calls to the library. Part of `ImageServiceClient`."""

from typing import Any, Literal

import requests

from app.client_http import part
from app.core.answers import Chain, ImageGroup
from app.core.schema import SavedImage, TrashedImage


class LibraryCalls:
    """Saved pictures: found, looked at, marked, deleted and had back."""

    def images(
        self,
        q: str | None = None,
        favourite: bool | None = None,
        model: str | None = None,
        seed: int | None = None,
        cursor: str | None = None,
        limit: int = 50,
        **more: Any,
    ) -> tuple[list[SavedImage], str | None]:
        """A page of saved images, newest first, and the next cursor.

        `more`: `width`, `height`, `after` (a day), `order` (`newest` or `oldest`).
        """
        page = self._library(q, favourite, cursor, limit, model=model, seed=seed, **more)
        return [_image(item) for item in page["items"]], page["next"]

    def image_count(self, q: str | None = None, favourite: bool | None = None, **more: Any) -> int:
        """How many saved images fit; `more` as for `images`, and `model` and `seed`."""
        return int(self._library(q, favourite, None, 1, count="true", **more)["count"])

    def groups(
        self, q: str | None = None, cursor: str | None = None, limit: int = 20, **more: Any
    ) -> tuple[list[ImageGroup], str | None]:
        """A page of images, those of one prompt together, and the next cursor. `more`: `favourite`, `model`."""
        page = self._library(q, more.pop("favourite", None), cursor, limit, group="prompt", **more)
        return [ImageGroup.model_validate(item, extra="ignore") for item in page["items"]], page["next"]

    def image(self, id: str) -> SavedImage:
        """One saved image with its recipe."""
        return _image(self._json("GET", f"/api/images/{part(id)}"))

    def chain(self, id: str) -> Chain:
        """What an image was made from, and what was made from it."""
        return Chain.model_validate(self._json("GET", f"/api/images/{part(id)}/chain"), extra="ignore")

    def image_bytes(self, id: str, format: str = "png", quality: int = 92) -> bytes:
        """The PNG exactly as it was saved; or `jpeg`, `webp` or `avif` made of it, which carry the recipe too."""
        params = None if format == "png" else {"format": format, "quality": quality}
        return self._call("GET", f"/images/{part(id)}.png", params=params).content

    def thumbnail(self, id: str, width: Literal[256, 512] = 256) -> bytes:
        """A WebP of the image, `width` pixels wide."""
        return self._call("GET", f"/images/{part(id)}/thumbnail.webp", params={"w": width}).content

    def set_favourite(self, id: str, favourite: bool) -> SavedImage:
        """Mark or unmark an image."""
        return _image(self._json("PATCH", f"/api/images/{part(id)}", json={"favourite": favourite}, repeat=True))

    def delete_image(self, id: str, *, forever: bool = False) -> None:
        """Put an image into the trash, or delete it `forever`. Deleting twice is fine."""
        params = {"forever": "true"} if forever else {}
        self._call("DELETE", f"/api/images/{part(id)}", params=params)

    def trash(self) -> tuple[list[TrashedImage], float]:
        """The deleted images that can still be had back, the latest first, and how many days each stays."""
        answer = self._json("GET", "/api/trash")
        return [TrashedImage.model_validate(item, extra="ignore") for item in answer["items"]], float(answer["days"])

    def trash_thumbnail(self, id: str, width: Literal[256, 512] = 256) -> bytes:
        """A WebP of a deleted image, `width` pixels wide."""
        return self._call("GET", f"/api/trash/{part(id)}/thumbnail.webp", params={"w": width}).content

    def restore_image(self, id: str) -> SavedImage:
        """A deleted image, back in the library."""
        return _image(self._json("POST", f"/api/trash/{part(id)}/restore"))

    def empty_trash(self) -> int:
        """Remove for good what is in the trash; how many images."""
        return int(self._json("DELETE", "/api/trash")["removed"])

    def _library(self, q: Any, favourite: bool | None, cursor: Any, limit: int, **more: Any) -> Any:
        chosen = None if favourite is None else str(favourite).lower()
        params = {"q": q, "favourite": chosen, "cursor": cursor, "limit": limit, **more}
        return self._json("GET", "/api/images", params=params)

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        raise NotImplementedError

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        raise NotImplementedError


# `extra="ignore"`: a newer service may say more than this client knows.
def _image(data: Any) -> SavedImage:
    return SavedImage.model_validate(data, extra="ignore")
