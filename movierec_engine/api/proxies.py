"""Behind a proxy: the client's own address, and the path below which the proxy shows this server."""

from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def behind_proxies(application: Application, trusted: int, prefix: str) -> Application:
    """An application that believes its proxies.

    trusted: how many proxies stand before it. Of each X-Forwarded-For, -Proto, -Host and -Prefix that many values are
    believed, from the end, and what a client wrote before them is not. prefix: where it is shown, such as `/movies`,
    whether the proxy hands it on or cuts it off.
    """
    if prefix:
        application = _below(application, prefix)
    if trusted:
        application = ProxyFix(application, x_for=trusted, x_proto=trusted, x_host=trusted, x_prefix=trusted)
    return application


def _below(application: Application, prefix: str) -> Application:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == prefix or path.startswith(f"{prefix}/"):
            environ["PATH_INFO"] = path[len(prefix) :] or "/"
        environ["SCRIPT_NAME"] = prefix
        return application(environ, start_response)

    return answer
