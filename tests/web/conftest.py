"""What tests of the server share: one that runs, with limits that a test can reach."""

from collections.abc import Iterator

import pytest

from tests.web.servers import Server, server_with


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests, which shall leave it as they found it."""
    store = tmp_path_factory.mktemp("web") / "runs.db"
    limits = {"body_seconds": 1.5, "head_seconds": 1.5, "sockets": 6, "send_seconds": 1.0}
    with server_with(store, **limits) as server:
        yield server
