"""Lists as they were answered, noted as shown in the feedback log, so that what people do then can be told of them."""

import hashlib
import json
import secrets
from typing import NamedTuple

from movierec_engine.api.answers import Recommendations
from movierec_engine.api.incoming import REQUEST_ID, incoming
from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback import Exposure, ListContext
from movierec_engine.feedback.events import MAX_LIST
from movierec_engine.serving.live_exploration import Propensities
from movierec_engine.serving.live_feedback import LiveFeedback

PLAIN = ListContext()


class NotedAnswer(NamedTuple):
    """An answer with what is noted of it."""

    answer: Recommendations
    propensities: Propensities
    context: ListContext


def note_shown(
    live: LiveFeedback,
    data_set: str,
    user_id: PublicId,
    answer: Recommendations,
    propensities: tuple[tuple[float, ...], tuple[float, ...]] = ((), ()),
    context: ListContext = PLAIN,
    experiment: str = "",
    variant: str = "",
    teams: tuple[str, ...] = (),
) -> str:
    """Have an answer noted as shown; its exposure id.

    An explored list that is sent again by its request id is the same one, and is noted once.
    """
    request_id = incoming()[REQUEST_ID]
    movies = tuple(movie["movie_id"] for movie in answer["recommendations"])[:MAX_LIST]
    exposure_id = secrets.token_hex(8)
    if propensities[0]:
        told = json.dumps([user_id, request_id, answer["version"], movies]).encode()
        exposure_id = hashlib.blake2b(told, digest_size=8).hexdigest()
    live.expose(
        data_set,
        Exposure(
            exposure_id=exposure_id,
            user_id=user_id,
            movie_ids=movies,
            model=answer["model"],
            version=answer["version"],
            experiment=experiment,
            variant=variant,
            teams=teams[:MAX_LIST],
            request_id=request_id,
            propensities=propensities[0],
            inclusions=propensities[1],
            context=context,
        ),
    )
    return exposure_id
