"""Every source of nondeterminism, behind a Protocol, so that a test can replace it.

Modules: ``clock`` (time of day, elapsed time, sleeping), ``rng`` (tokens, jitter), ``tasks``
(background tasks with an owner). What headwater does depends on the outside only through these and
through sockets and files; the simulation in ``tests/simulation`` drives all of them from one seed.
"""
