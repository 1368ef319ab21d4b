"""A fake service and a client of it."""

from collections.abc import Iterator

import pytest

from app.client import ImageServiceClient
from tests.client.fake_service import FakeService, fake_service


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A running server; its answers can be changed at any time."""
    with fake_service() as service:
        yield service


@pytest.fixture
def client(service: FakeService) -> Iterator[ImageServiceClient]:
    """A client of that server that loses patience soon."""
    with ImageServiceClient(service.url, timeout_s=5, patience_s=2) as client:
        yield client
