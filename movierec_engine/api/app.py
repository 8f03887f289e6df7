"""The Flask application: hooks and endpoints over an artifact store."""

import threading
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from flask import Flask, Response, request

from movierec_engine.api.access import ApiKeys, RateLimit
from movierec_engine.api.config import ServingConfig, keys_of_environment
from movierec_engine.api.cursors import Cursors, secret_of_environment
from movierec_engine.api.endpoints import register
from movierec_engine.api.errors import answer_to
from movierec_engine.api.fixed_addresses import FixedAddresses
from movierec_engine.api.home_service import HomeService
from movierec_engine.api.incoming import ENDPOINT
from movierec_engine.api.list_services import ListServices
from movierec_engine.api.live_experiment import LiveExperiment
from movierec_engine.api.logs import access_log
from movierec_engine.api.metrics import Metrics
from movierec_engine.api.middleware import Envelope, behind_proxies
from movierec_engine.api.model_service import ModelService, about
from movierec_engine.api.movie_service import MovieService
from movierec_engine.api.openapi import describe
from movierec_engine.api.pages import address_of, pages, words
from movierec_engine.api.people_service import PeopleService
from movierec_engine.api.recommendation_service import RecommendationService
from movierec_engine.api.request_parsing import MAX_BODY_BYTES
from movierec_engine.api.routes import home, models, movies, operations, people, recommendations
from movierec_engine.api.routes import rules as ruling
from movierec_engine.api.rules_service import RulesService
from movierec_engine.api.static_files import register_static_files
from movierec_engine.api.trends import Trends
from movierec_engine.api.workers import Workers
from movierec_engine.data.ratings import Movies
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.feedback.config import url_of_environment
from movierec_engine.serving.index_reloader import IndexReloader, ServingState
from movierec_engine.serving.live_exploration import LiveExploration
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.live_rules import LiveRules
from movierec_engine.store import ArtifactStore
from movierec_engine.store.storage import Location


def create_app(
    location: Location,
    serving: ServingConfig | None = None,
    *,
    device: str = "auto",
    titles: Movies | None = None,
    feedback_url: str | None = None,
    watch: bool = False,
) -> Flask:
    """The API over an artifact store, which may still be empty: a folder, or the URL of an object store.

    titles: replaces the titles that the indices carry. device: whose indices are served, `auto` for any.
    feedback_url: as `feedback.url`; None for MOVIEREC_FEEDBACK_URL's.
    watch: follow the store in a thread, as a server does, instead of at each request.
    """
    limits = serving or ServingConfig()
    metrics = Metrics()
    metrics.show("movierec_workers", 1)
    store = ArtifactStore(location, offline=True)
    reloader = IndexReloader(
        store,
        limits,
        device=device,
        titles=titles,
        on_change=lambda before, now: _show_change(metrics, before, now),
    )
    app = Flask("movierec_engine.api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False  # a doubled slash is a 404 instead of an HTML page that redirects
    app.jinja_env.globals["address_of"] = address_of
    app.jinja_env.autoescape = True  # also of templates that are not named .html
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    app.context_processor(lambda: words(reloader.state().served.get(None)))
    workers = Workers.of_environment(limits.worker_count)
    service = ModelService(reloader, store, workers)
    live = LiveFeedback(
        FeedbackLogs(store.root, url_of_environment() if feedback_url is None else feedback_url), metrics.count
    )
    experiment = LiveExperiment(limits.experiment, reloader, live)
    cursors = Cursors(secret_of_environment(), limits.cursor_seconds)
    exploration = LiveExploration(limits.exploration, live)
    rules = LiveRules(ArtifactStore(location), store)
    services = ListServices(service, live, experiment, exploration, limits, cursors, rules)
    recommending, rows = RecommendationService(services), HomeService(services, Trends(live, limits.rows))
    catalogue = MovieService(service, live, cursors, rules)
    overview: dict[str, Any] = {}
    described = lru_cache(maxsize=1)(lambda ids: describe(endpoints, limits, ids))
    topics = [
        recommendations(recommending),
        home(rows),
        movies(catalogue),
        people(PeopleService(service, live)),
        models(service, experiment),
        ruling(RulesService(service, live, rules)),
    ]
    topics.append(operations(service, live, metrics, lambda: described(service.ids())))
    topics.append(pages(service, rows, catalogue, overview))
    endpoints = [endpoint for topic in topics for endpoint in topic.endpoints]
    overview |= {
        "endpoints": {f"{', '.join(one.methods)} {one.address}": one.summary for one in endpoints},
        "at_most": {
            "top_k": limits.max_top_k,
            "user_ids": limits.max_batch,
            "user_ids_times_top_k": limits.max_batch_movies,
            "body_bytes": MAX_BODY_BYTES,
        },
    }
    keys = ApiKeys(keys_of_environment())
    unlimited = frozenset(["static", *(one.name for one in endpoints if not one.limited)])
    rate = RateLimit(limits.rate_limit, limits.rate_burst)
    _register_beginning(app, rate, unlimited, {one.name: one.path for one in endpoints})
    app.register_error_handler(Exception, answer_to)
    register_static_files(app)
    log = access_log(limits.log_format) if watch and limits.access_log else None
    answered = FixedAddresses(app.wsgi_app, register(app, endpoints, limits, keys, service.ids), rate)
    enveloped = Envelope(answered, metrics, limits.cors_origins, log, limits.pictures.origins)
    app.wsgi_app = behind_proxies(enveloped, limits.trusted_proxies, limits.prefix)  # type: ignore[method-assign, assignment]
    app.extensions["movierec"] = {
        "endpoints": endpoints, "reloader": reloader, "metrics": metrics, "live": live, "rules": rules,
        "workers": workers,
    }  # fmt: skip
    weakref.finalize(app, live.close)
    if watch:
        reloader.expect_watcher()
        workers.say(service.health())  # that it is loading, before it takes its first request
        _watch(app, reloader, limits.follow_seconds, lambda: workers.say(service.health()))
        _watch_rules(app, reloader, rules, limits.follow_seconds)
    return app


def _register_beginning(app: Flask, rate: RateLimit, unlimited: frozenset[str], named: Mapping[str, str]) -> None:
    """Before each request: name its endpoint for the metrics, hold the rate limit, answer OPTIONS.

    named: the path of an endpoint, which stands in the metrics for its address as well.
    """

    @app.before_request
    def begin() -> Response | None:
        asked = request._get_current_object()  # type: ignore[attr-defined]
        rule = asked.url_rule
        if rule is not None:
            asked.environ[ENDPOINT] = named.get(rule.endpoint, rule.rule)
        if asked.endpoint not in unlimited:
            rate.take(asked.remote_addr or "")
        return _options(app) if asked.method == "OPTIONS" else None


def _options(app: Flask) -> Response | None:
    """An empty answer that says which methods a path has; None for a path that is not there."""
    adapter = app.create_url_adapter(request)
    methods = sorted(adapter.allowed_methods()) if adapter else []
    if not methods:
        return None
    response = Response(status=204, headers={"Allow": ", ".join([*methods, "OPTIONS"])})
    del response.headers["Content-Type"]
    return response


def _show_change(metrics: Metrics, before: ServingState, now: ServingState) -> None:
    """Count a swap of versions, and update the gauges of the versions in memory."""
    metrics.show("movierec_loaded_models", len({one.artifact.reference for one in now.served.values()}))
    metrics.show("movierec_refused_versions", len(now.refused))
    old, new = before.served.get(None), now.served.get(None)
    if new is not old:
        for one, workers in ((old, 0), (new, 1)):
            if one is not None:
                metrics.show("movierec_served_info", workers, **about(one))
        if new is not None:
            metrics.count("movierec_swaps_total")


def _watch(app: Flask, reloader: IndexReloader, seconds: float, after: Callable[[], None]) -> None:
    stop = threading.Event()
    weakref.finalize(app, stop.set)
    threading.Thread(target=reloader.watch, args=(seconds, stop, after), name="index-reloader", daemon=True).start()


def _watch_rules(app: Flask, reloader: IndexReloader, rules: LiveRules, seconds: float) -> None:
    """Follow the rules in a thread of their own, so that they need not wait while an index is loaded."""
    stop = threading.Event()
    weakref.finalize(app, stop.set)

    def data_set() -> str | None:
        default = reloader.state().served.get(None)
        return default.lineage.data_set if default else None

    threading.Thread(target=rules.watch, args=(data_set, seconds, stop), name="rules", daemon=True).start()
