"""The one way from records to results in the service: judged as everywhere, and recorded where that is switched on."""

from collections.abc import Sequence

from starlette.requests import Request

from classifier.model import Model
from classifier.records import Record
from classifier.results import Result
from service.problems import FieldError, invalid, wrong_query
from service.records import Recorder


def check_profile(model: Model, profile: str, *, in_query: bool = False) -> None:
    """Raise Problem 422 where the model has no such set of thresholds."""
    if profile not in model.thresholds:
        what = f"not a profile of {model.id}. Known are: {', '.join(sorted(model.thresholds))}."
        if in_query:
            raise wrong_query([FieldError("", f"query profile: is {what}")])
        raise invalid([FieldError("/profile", f"Is {what}")])


def judge(request: Request, model: Model, records: Sequence[Record], profile: str) -> list[Result]:
    """Judge records; where determinations are recorded, theirs are on disk when this returns. Call it in a thread.

    Raises Problem: 422 where the profile is not known, 503 where a determination could not be recorded.
    """
    check_profile(model, profile)
    results = model.classify(records, profile=profile)
    record(request, model, records, results, profile)
    return results


def record(request: Request, model: Model, records: Sequence[Record], results: Sequence[Result], profile: str) -> None:
    """Count what was judged and, where determinations are recorded, write them. Call it in a thread.

    Raises Problem 503 where a determination could not be recorded.
    """
    recorder: Recorder | None = request.app.state.recorder
    if recorder is not None:
        recorder.record(
            records,
            results,
            model,
            profile,
            request_id=request.state.request_id,
            key_id=request.state.caller.id,
            route=request.scope["route"].path,
        )
    request.state.documents = len(results)
