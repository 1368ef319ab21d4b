"""Pictures that jobs start from: made plain once, kept by what is in them, freed when nothing names them any more."""

from app.inputs.store import InputStore

__all__ = ["InputStore"]
