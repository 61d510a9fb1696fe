"""The weights of runs: of one that trains the latest, of one that has ended the network."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response

from digitlab.live import Laboratory
from digitlab.live.networks import Preparing
from digitlab.networks import NOTE
from digitlab.web.schema import Answer

KeyPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


class PreparingAnswer(Answer):
    """It is not there yet; ask again in a moment."""

    says: str
    progress: float
    """The share of the work that is done, 0 to 1."""


def weights_router(laboratory: Laboratory) -> APIRouter:
    """`/runs/{key}/weights`."""
    router = APIRouter(tags=["runs"])

    @router.get(
        "/runs/{key}/weights",
        response_class=Response,
        responses={
            200: {
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
                "headers": {"X-Step": {"schema": {"type": "integer"}, "description": "Steps taken so far."}},
            },
            202: {"model": PreparingAnswer, "description": "The run is trained again; ask again."},
        },
    )
    def weights(
        key: KeyPath,
        layers: Annotated[
            int | None, Query(ge=1, le=64, description="Only so many layers, the first.")
        ] = None,
    ) -> Response:
        """The network as a safetensors file, as `digitlab train --save` writes it.

        Of a run that was trained again, and came out differently, its metadata say so: `digitlab_note`.
        """
        found = laboratory.weights(key)
        if isinstance(found, Preparing):
            answer = PreparingAnswer(says=found.says, progress=found.share)
            return JSONResponse(answer.model_dump(), 202)
        note = {NOTE: found.note} if found.note else None
        body = found.network.to_bytes(note, layer_count=layers)
        return Response(body, media_type="application/octet-stream", headers={"X-Step": str(found.step)})

    return router
