"""`python -m tests.reliability`: write docs/reliability.md. Status 1 if a row names a test that is not there."""

import sys

from tests.reliability.ledger import missing_tests, read_rows
from tests.reliability.page import PAGE, page

missing = missing_tests(read_rows())
for line in missing:
    print(f"no such test: {line}", file=sys.stderr)
PAGE.write_text(page(), "utf-8")
sys.exit(bool(missing))
