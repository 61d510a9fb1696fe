"""Every address of the API's document, with requests that are made at random from it: never a fault of ours."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.core.result import Ok

from tests.web.servers import Server

_EXAMPLES = 5
_QUIETLY = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


def test_no_request_is_a_fault_of_ours(live_server: Server) -> None:
    headers = {"Authorization": f"Bearer {live_server.token}"}
    url = f"http://{live_server.authority}/api/openapi.json"
    asked: set[str] = set()
    for found in schemathesis.openapi.from_url(url, headers=headers).get_all_operations():
        assert isinstance(found, Ok)  # the document is valid
        operation = found.ok()

        @_QUIETLY
        @given(case=operation.as_strategy())
        def ask(case: Case[Any]) -> None:
            response = case.call(headers=headers)
            asked.add(f"{case.method} {case.path}")
            assert response.status_code < 500, response.text[:500]
            if response.status_code >= 400:
                assert response.json()["says"], case.path

        ask()
    assert live_server.process.poll() is None
    assert len(asked) >= 25
