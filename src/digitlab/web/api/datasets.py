"""The data sets that there are, and their test images."""

from functools import lru_cache
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from digitlab.data import LabelledImages, registry
from digitlab.errors import SpecError
from digitlab.web.errors import NotHereError
from digitlab.web.limits import Limits
from digitlab.web.schema import Answer

_MOST = Limits().test_images
_MOST_NAME = 64


class DatasetAnswer(Answer):
    """A data set."""

    name: str
    title: str
    is_here: bool
    """Whether it lies on this machine."""
    class_names: list[str]
    train_size: int
    test_size: int


@lru_cache(maxsize=4)
def _test_part(name: str, _digest: str) -> LabelledImages:
    """A data set's test images: read and verified once."""
    return registry.load(name).test


def datasets_router() -> APIRouter:
    """`/datasets`."""
    router = APIRouter(tags=["data sets"])

    @router.get("/datasets")
    def datasets() -> list[DatasetAnswer]:
        """All data sets that are known; those whose description is damaged are left out."""
        return [
            DatasetAnswer(
                name=name,
                title=entry.title,
                is_here=registry.is_bundled(name) or registry.is_cached(name),
                class_names=list(entry.class_names),
                train_size=entry.item_count("train_images"),
                test_size=entry.item_count("test_images"),
            )
            for name, entry in registry.entries().items()
            if entry is not None
        ]

    @router.get(
        "/datasets/{name}/test",
        response_class=Response,
        responses={
            200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
        },
    )
    def test_images(
        name: Annotated[str, Path(max_length=_MOST_NAME)],
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
    ) -> Response:
        """Test images as bytes [n, 28, 28], one after the other, and then their n labels, a byte each."""
        try:
            entry = registry.entry(name)
        except SpecError as error:
            raise NotHereError(str(error)) from None
        test = _test_part(name, entry.sha256)
        images, labels = test.images[offset : offset + limit], test.labels[offset : offset + limit]
        body = np.ascontiguousarray(images).tobytes() + np.ascontiguousarray(labels).tobytes()
        return Response(body, media_type="application/octet-stream")

    return router
