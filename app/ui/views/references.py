"""The pictures that an instruction speaks of, and where one more is dropped or chosen."""

from collections.abc import Sequence

from app.ui.markup import Markup, action, join
from app.ui.strings import Words
from app.ui.views.start import drop_small, input_url


def references(names: Sequence[str], words: Words) -> Markup:
    """Each with its number, the picture that is changed being the first, and a way to take it out."""
    shown = [
        Markup('<li><img src="{}" alt="{}">{}</li>').format(
            input_url(name),
            words("references_picture", n=place + 2),
            action("remove-reference", words("start_remove"), picture="close", bare=True, data={"id": name}),
        )
        for place, name in enumerate(names)
    ]
    pictures = Markup('<ul class="at-row at-thumbs">{}</ul>').format(join(shown)) if shown else Markup("")
    return Markup("<h4>{}</h4>{}{}").format(words("references"), pictures, drop_small(words("references_drop")))
