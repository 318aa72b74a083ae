"""HTTP: liveness, readiness, metrics, webhooks.

``app`` makes the application; ``metrics`` is what it shows, ``webhook`` what it takes.
"""
