"""The image service: a Flask app whose doors translate requests into jobs. Never imports engine, diffusion or torch."""

from app.service.application import DOORS, Door, create_app
from app.service.parts import Dispatcher, Lifecycle, Parts

__all__ = ["DOORS", "Dispatcher", "Door", "Lifecycle", "Parts", "create_app"]
