"""Pictures that visitors hand in for a part of the form: from the file to the picture that the service keeps."""

import gradio as gr

from app.core.errors import ServiceError
from app.core.schema import InputRef
from app.ui.actions import HANDED_IN, Action
from app.ui.strings import Words
from app.ui.studio import Studio
from app.ui.views.toast import toast
from app.ui.visitors import visitor_of


def handed_in(studio: Studio, request: gr.Request, action: Action, words: Words) -> bytes | str:
    """The file that an event tells of; else what went wrong, as a message."""
    if action.act != HANDED_IN:
        return toast(words.find(f"upload_{action.act}") or words("upload_failed"), words, "bad")
    return studio.uploads.take(visitor_of(request.request), action.id) or toast(words("upload_failed"), words, "bad")


def keep(studio: Studio, data: bytes, words: Words) -> InputRef | str:
    """The picture in a file as the service keeps it; else its refusal, as a message."""
    try:
        return studio.link.ask(lambda: studio.link.client.upload(data))
    except ServiceError as error:
        return studio.refusal(error, words)
