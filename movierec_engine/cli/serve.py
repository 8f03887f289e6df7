"""`movierec serve`: the API that answers from the index."""

import os
from pathlib import Path

import click
from rich.console import Console

from movierec_engine.cli.options import StoreLocation, Verb
from movierec_engine.store import kinds
from movierec_engine.store.storage import Location, is_url


@click.command(
    cls=Verb,
    settings=True,
    examples=["serve", "serve port=8000 workers=2", "serve --model-dir artifacts serving.follow=latest"],
)
@click.argument("settings", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--host", show_default="serving.host", help="The address to listen on.")
@click.option("--port", show_default="serving.port", type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option(
    "--model-dir",
    type=StoreLocation(),
    default=lambda: os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts",
    show_default="MOVIEREC_ARTIFACTS, else artifacts",
    help="The artifact store to serve from, a folder or a URL such as s3://bucket/prefix; a folder of checkpoints "
    "stands for the default one.",
)
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A MovieLens folder whose titles replace those that the indices carry.",
)
@click.option(
    "--device",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    help="Serve only indices of models trained on this device; answering needs no accelerator.",
)
@click.option("--data-set", show_default="serving.data_set", help="The data set whose models answer.")
@click.option(
    "--workers",
    show_default="serving.workers: one a core, at most 4",
    type=click.IntRange(0, 64),
    help="How many processes answer.",
)
@click.option("--debug", is_flag=True, help="Flask's own server with reloader and debugger; on loopback only.")
def serve(
    settings: tuple[str, ...],
    host: str | None,
    port: int | None,
    model_dir: Location,
    data_dir: Path | None,
    device: str,
    data_set: str | None,
    workers: int | None,
    debug: bool,
) -> None:
    """Answer recommendation calls from the promoted index, or from the newest one while none is promoted.

    KEY=VALUE are settings of the serving and feedback groups, such as serving.follow=latest, with which the newest
    index of any model answers. A newer version is taken over within two seconds, between two requests.
    """
    from dataclasses import replace

    from movierec_engine.api.server import serve as run
    from movierec_engine.api.server import store_to_serve
    from movierec_engine.config import load_feedback, load_serving
    from movierec_engine.pipeline.data import choose_data_set
    from movierec_engine.store import ArtifactStore

    configured = load_serving(list(settings))
    serving = replace(
        configured,
        host=host or configured.host,
        port=port or configured.port,
        data_set=data_set or configured.data_set,
        workers=configured.workers if workers is None else workers,
    )
    store = model_dir
    if isinstance(model_dir, Path):
        default = os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts"
        store, notice = store_to_serve(model_dir, Path("artifacts" if is_url(default) else default))
        if notice:
            Console(stderr=True).print(notice, soft_wrap=True, highlight=False, markup=False)
        artifacts = ArtifactStore(store)
        if artifacts.data_sets(kinds.FAISS_INDEX):
            named, option = serving.data_set, "serving.data_set or --data-set"
            serving = replace(serving, data_set=choose_data_set(artifacts, kinds.FAISS_INDEX, named, option))
    url = load_feedback(list(settings)).url
    run(store, serving, feedback_url=url, data_dir=data_dir, device=device, debug=debug)
