"""What a route asks for before it does its work."""

from typing import Annotated

from fastapi import Depends, Request

from classifier import Model
from service.problems import Problem


async def loaded_model(request: Request) -> Model:
    """Return the model.

    Raises Problem 503 while there is none.
    """
    model: Model | None = request.app.state.model
    if model is None:
        detail = "The model is not loaded. Try again in a second."
        raise Problem(503, detail, headers={"Retry-After": "1"})
    return model


LoadedModel = Annotated[Model, Depends(loaded_model)]
