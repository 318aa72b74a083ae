"""HTTP: liveness, readiness, metrics. ``app`` makes the application, ``metrics`` what it shows."""
