"""What a person sees who opens an address of the page that is none."""

from starlette.requests import Request

from app.ui.markup import Markup
from app.ui.strings import Strings

_PAGE = Markup("""<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; --link: #0f766b; }}
@media (prefers-color-scheme: dark) {{ :root {{ --link: #78cabd; }} }}
body {{ font: 1.1rem/1.6 system-ui, "Noto Sans CJK SC", sans-serif; max-width: 36rem; margin: 15vh auto 0;
  padding: 0 1.5rem; }} a {{ color: var(--link); }}
</style></head><body><main><h1>{title}</h1><p>{text}</p><p><a href="/">{home}</a></p></main></body></html>""")


def lost_page(request: Request, strings: Strings) -> str:
    """It says so, in the reader's language, and leads to the page."""
    words = strings.for_request(request)
    return _PAGE.format(
        language=words.language, title=words("app_name"), text=words("lost_text"), home=words("lost_home")
    )
