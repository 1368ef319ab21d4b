"""What a job asks for: the kinds of work."""

from enum import StrEnum


class Task(StrEnum):
    """What is made of what. A family says which of these it can do."""

    TEXT = "text"  # a picture from a prompt alone
    IMAGE = "image"  # from a prompt and a picture to start from
    INPAINT = "inpaint"  # a part of a picture anew, under a mask
    EDIT = "edit"  # a picture changed as the prompt instructs
    CONTROL = "control"  # hold the pictures of another model: asked of it in `control`, never as a task
    UPSCALE = "upscale"  # the same picture, larger
    DESCRIBE = "describe"  # words from a picture
