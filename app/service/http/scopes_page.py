"""`python -m app.service.http.scopes_page`: write docs/scopes.md."""

from app.core.settings import PROJECT_FOLDER
from app.service.http.scopes import page

PAGE = PROJECT_FOLDER / "docs" / "scopes.md"

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
