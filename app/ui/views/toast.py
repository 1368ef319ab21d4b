"""A passing message at the lower edge of the page. Mistakes stay until they are closed or something succeeds."""

import json
import secrets
from collections.abc import Sequence

from app.ui.markup import Markup, action, icon, notice
from app.ui.strings import Words

# Run when the message changes: its time starts again.
RESTART = """watch("value", () => {
  const shown = element.querySelector(".at-toast");
  if (shown) { shown.hidden = false; shown.style.animation = "none"; shown.offsetHeight; shown.style.animation = ""; }
});"""


# Takes away what is shown: nobody reads an old mistake beside what went well since.
NO_TOAST = ""


def undoable(text: str, words: Words, ids: Sequence[str]) -> str:
    """The message that pictures were deleted, with a button that has them back from the trash."""
    return toast(text, words, more=action("undo", words("undo"), data={"ids": json.dumps(list(ids))}))


def toast(
    text: str,
    words: Words,
    kind: str = "good",
    hint: str | None = None,
    *,
    passing: bool = False,
    more: Markup | None = None,
) -> str:
    """The message, with a button as `more`. Screen readers hear it.

    Each one differs, so that the same text twice is shown twice.

    A `passing` mistake goes by itself, for what the header says as long as it is true.
    """
    stay = " at-toast-stay" if kind == "bad" and not passing else ""
    close = Markup('<button type="button" class="at-button at-bare" data-close="1" aria-label="{}">{}</button>').format(
        words("close"), icon("close")
    )
    return Markup('<div class="at-toast{}" role="{}" data-turn="{}">{}{}{}</div>').format(
        stay, "alert" if kind == "bad" else "status", secrets.token_hex(3), notice(text, kind, hint), more or "", close
    )
