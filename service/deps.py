"""What a route asks for before it does its work."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute

from classifier import Model
from service.problems import Problem


class Bare(APIRoute):
    """A route whose function takes the request alone, and reads it itself.

    It stands in the OpenAPI document like others, but FastAPI does not look for parameters in each request, which costs
    more than all that is done with a short one.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function as it is."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


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
