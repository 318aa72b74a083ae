"""Whatever arrives as a query is answered or refused in time: no crash, no hang, no XX000.

``statements``  where texts come from, each source a seeded stream: trees of our whole grammar,
                queries that mean something, calls of every function with values at the ends of
                their types, mutated statements, and bytes
``nesting``     every construct that holds itself, a thousand levels deep
``victim``      a server that is asked, and what counts as a fault of it
``sqlsmith``    Debian's SQLsmith against the server, where it is installed

``python -m tests.fuzz --minutes 30 --seed 1`` is the long run of the first; ``python -m
tests.fuzz.sqlsmith --minutes 30`` of the last. Both print seed, counts and faults.
"""
