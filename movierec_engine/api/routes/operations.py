"""What runs the server needs: whether it lives, whether it is ready, its metrics and its description."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from movierec_engine.api.endpoints import Answer, Topic
from movierec_engine.api.inference import InferenceService
from movierec_engine.api.keys import READ
from movierec_engine.api.live_feedback import LiveFeedback
from movierec_engine.api.metrics import EXPOSITION, Metrics
from movierec_engine.api.openapi import EXAMPLES_AT
from movierec_engine.api.rendering import json_response, page, to_json
from movierec_engine.api.requests import NoParameters


def operations(
    service: InferenceService, live: LiveFeedback, metrics: Metrics, described: Callable[[], Mapping[str, Any]]
) -> Topic:
    """described: the OpenAPI description."""
    topic = Topic("operations")

    @topic.endpoint("/api/health", NoParameters, schema="Health", limited=False)
    def health(asked: NoParameters) -> Answer:
        """Whether the server lives, and what it serves: always 200 while it does."""
        return service.health()

    @topic.endpoint("/api/ready", NoParameters, schema="Health", limited=False)
    def ready(asked: NoParameters) -> Answer:
        """Whether there is an index to answer from (200, else 503), what is refused, and how the feedback log is."""
        body, status = service.readiness()
        if status == 200:
            body["feedback"] = live.health(service.served().lineage.data_set)
        return json_response(body, status)

    @topic.endpoint("/metrics", NoParameters, content="text/plain", scope=READ, limited=False)
    def prometheus(asked: NoParameters) -> Answer:
        """Counters and latencies of all workers, in Prometheus' text format."""
        return Response(metrics.exposition(), content_type=EXPOSITION)

    @topic.endpoint("/api/openapi.json", NoParameters, schema="Description")
    def openapi(asked: NoParameters) -> Answer:
        """This description, in OpenAPI 3.1."""
        return Response(to_json(described()), content_type="application/json")

    @topic.endpoint("/docs", NoParameters, content="text/html")
    def docs(asked: NoParameters) -> Answer:
        """This description as a page.

        Its examples ask the server at the address by which the reader found it.
        """
        address = request.url_root.rstrip("/") if request.host else EXAMPLES_AT
        return page("docs.html.j2", here="docs", api=described(), examples_at=EXAMPLES_AT, address=address)

    return topic
