"""`styles`: what `generate --style` may name, and what each adds."""

from app.cli.common import JsonOption, KeyOption, UrlOption, connect, print_json, print_table


def styles(as_json: JsonOption = False, url: UrlOption = None, key: KeyOption = None) -> None:
    """List the styles: those that come along, and those of models/styles.csv and models/styles."""
    with connect(url, key) as client:
        found = client.styles()
    if as_json:
        print_json(found)
        return
    rows = ((style.name, style.prompt, style.negative_prompt) for style in found)
    print_table(("style", "prompt", "negative prompt"), rows, cut=2)
