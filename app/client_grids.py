"""The client's calls for X/Y/Z grids. Part of `ImageServiceClient`."""

import uuid
from collections.abc import Mapping
from typing import Any

import requests

from app.client_http import part
from app.core.grids import Grid, GridRequest


class GridCalls:
    """Grids: submitted, looked at, cancelled; their sheets."""

    def submit_grid(
        self,
        grid: GridRequest | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        origin: str | None = None,
    ) -> Grid:
        """Make a picture for each combination of values: a job each. The same key always gives the same grid."""
        body = grid.model_dump(mode="json", exclude_unset=True) if isinstance(grid, GridRequest) else dict(grid)
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        if origin:
            headers["X-Atelier-Origin"] = origin
        return _grid(self._json("POST", "/api/grids", json=body, headers=headers, repeat=True))

    def grid(self, id: str) -> Grid:
        """One grid with its cells as they are now."""
        return _grid(self._json("GET", f"/api/grids/{part(id)}"))

    def grids(self, cursor: str | None = None, limit: int = 20) -> tuple[list[Grid], str | None]:
        """A page of grids without their cells, newest first, and the cursor of the next page."""
        page = self._json("GET", "/api/grids", params={"cursor": cursor, "limit": limit})
        return [_grid(item) for item in page["items"]], page["next"]

    def cancel_grid(self, id: str) -> Grid:
        """Cancel what is left of a grid; what is done stays. Repeatable."""
        return _grid(self._json("POST", f"/api/grids/{part(id)}/cancel", repeat=True))

    def sheet(self, id: str) -> bytes:
        """The PNG with all pictures of a grid that are there."""
        return self._call("GET", f"/grids/{part(id)}.png").content

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        raise NotImplementedError

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        raise NotImplementedError


def _grid(data: Any) -> Grid:
    return Grid.model_validate(data, extra="ignore")
