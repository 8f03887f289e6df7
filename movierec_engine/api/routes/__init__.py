"""The endpoints by topic: a typed request in, the service's answer out."""
