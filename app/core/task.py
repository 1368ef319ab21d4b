"""What a job asks for: the kinds of work, and the kinds of models that do it."""

from collections.abc import Mapping
from enum import StrEnum


class Task(StrEnum):
    """What is made of what. A family says which of these it can do."""

    TEXT = "text"  # a picture from a prompt alone
    IMAGE = "image"  # from a prompt and a picture to start from
    INPAINT = "inpaint"  # a part of a picture anew, under a mask
    EDIT = "edit"  # a picture changed as the prompt instructs
    CONTROL = "control"  # hold the pictures of another model: asked of it in `control`, never as a task
    SEE = "see"  # look at a picture for a control model: named by that or by a preprocessor, never as a task
    UPSCALE = "upscale"  # the same picture, larger
    DESCRIBE = "describe"  # words from a picture
    FIND = "find"  # what a picture or words mean, as numbers that can be compared: of the library, never a job


class ModelKind(StrEnum):
    """What a model is for, in a word. A model may be of several kinds."""

    DRAWS = "draws"
    EDITS = "edits"  # makes pictures of pictures, by words
    CONTROLS = "controls"  # holds the pictures of others
    SEES = "sees"  # looks at pictures for those that control
    UPSCALES = "upscales"
    DESCRIBES = "describes"
    FINDS = "finds"


KIND_OF: Mapping[Task, ModelKind] = {
    Task.TEXT: ModelKind.DRAWS,
    Task.IMAGE: ModelKind.EDITS,
    Task.INPAINT: ModelKind.EDITS,
    Task.EDIT: ModelKind.EDITS,
    Task.CONTROL: ModelKind.CONTROLS,
    Task.SEE: ModelKind.SEES,
    Task.UPSCALE: ModelKind.UPSCALES,
    Task.DESCRIBE: ModelKind.DESCRIBES,
    Task.FIND: ModelKind.FINDS,
}
