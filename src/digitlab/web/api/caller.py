"""Who asks, as the guard has found it."""

from typing import Annotated

from fastapi import Depends, Request

from digitlab.web.security import Caller


def _caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


CallerOf = Annotated[Caller, Depends(_caller)]
