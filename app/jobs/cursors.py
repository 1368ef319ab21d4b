"""Cursors of lists that run from the newest row to the oldest: the number of the last row of the page before."""

from app.core.errors import FieldError, InvalidRequest

MAX_PAGE = 200


def checked(limit: int, cursor: str | None) -> int | None:
    """The cursor as the row number that it is. Raises InvalidRequest for a limit or a cursor that is none."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest([FieldError("limit", limit, f"allowed is 1 to {MAX_PAGE}")])
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 9):
        raise InvalidRequest([FieldError("cursor", cursor, "allowed is the `next` of the page before")])
    return int(cursor)
