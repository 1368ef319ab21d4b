"""Names of files that others gave: which can be written everywhere, and how to show those that cannot."""

import unicodedata

MAX_NAME_CHARS = 200
_HIDDEN = ("Cc", "Cs", "Cf", "Zl", "Zp")  # control characters, stray bytes, marks that turn text around, line ends


def is_clean(name: str) -> bool:
    """True for text that JSON, a terminal and a page show as it is: no bytes that are not UTF-8, nothing invisible."""
    return 0 < len(name) <= MAX_NAME_CHARS and all(unicodedata.category(char) not in _HIDDEN for char in name)


def shown_name(name: str) -> str:
    """Any name with its hidden characters and stray bytes written out (`\\u001b`), at most 200 characters."""
    return "".join(_written(char) for char in name)[:MAX_NAME_CHARS]


def _written(char: str) -> str:
    return f"\\u{ord(char):04x}" if unicodedata.category(char) in _HIDDEN else char
