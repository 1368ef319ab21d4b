"""A folded list of what the chosen model could use: nothing to see while there is none."""

from collections.abc import Sequence

from app.ui.markup import Markup, join


def folded_list(title: str, rows: Sequence[Markup]) -> Markup:
    """The rows (`<li>`) under a title that says how many they are; nothing without rows."""
    if not rows:
        return Markup("")
    return Markup('<details class="at-loras"><summary>{} ({})</summary><ul>{}</ul></details>').format(
        title, len(rows), join(rows)
    )
