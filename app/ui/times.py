"""Durations, sizes and moments as a person reads them."""

from datetime import UTC, datetime

from app.ui.strings import Words

_UNITS = ("B", "KB", "MB", "GB", "TB")


def duration(seconds: float, words: Words) -> str:
    """`0.4 s`, `12 s`, `3 min`, `2 h`."""
    if seconds < 10:
        return words("seconds", n=f"{seconds:.1f}")
    if seconds < 90:
        return words("seconds", n=f"{seconds:.0f}")
    if seconds < 5400:
        return words("minutes", n=f"{seconds / 60:.0f}")
    return words("hours", n=f"{seconds / 3600:.1f}")


def size(count: float) -> str:
    """Bytes in the largest unit that gives at least 1: `40 MB`, `6.9 GB` (decimal units)."""
    for unit in _UNITS:
        if count < 1000 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if count >= 10 or unit in _UNITS[:2] else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the last unit takes everything")


def ago(moment: datetime, words: Words, now: datetime | None = None) -> str:
    """`just now`, `5 min ago`, `3 h ago`, then the date."""
    past = ((now or datetime.now(UTC)) - moment).total_seconds()
    if past < 60:
        return words("just_now")
    if past < 3600:
        return words("minutes_ago", n=int(past // 60))
    if past < 86_400:
        return words("hours_ago", n=int(past // 3600))
    return moment.strftime("%Y-%m-%d")
