"""Headers of answers that are no page, whoever makes them; no import, so that the worker can have them, too."""

NOSNIFF = ("X-Content-Type-Options", "nosniff")
NO_STORE = ("Cache-Control", "no-store")
DATA_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
