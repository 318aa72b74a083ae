"""SQL sessions over everything below: statements, transactions, timestamps.

In: what the front asks (``pgwire.session_api``). Out: answers and row sources, changes of the
catalog, commands to the controllers. Modules, in the order in which a statement meets them::

    client.py         the front's requests: prepare, execute, COPY, events, the end of a session
    session.py        one connection: variables, prepared statements, the transaction
    variables.py      what can be SET and SHOWn
    transactions.py   which statements may stand in one transaction
    planning.py       the one place that calls the SQL stages
    sequencer/        one statement kind, one module; ``dispatch`` is its entry
    purify.py         what a statement needs from outside, before it takes its turn
    coordinator.py    what sessions share; the one way to change the catalog
    holds.py          read holds on what a query is computed from
    timestamps.py     which time a query reads at: a pure function
    oracle.py         read and write times, linearized
    group_commit.py   the writes of all sessions: one time, one append a round
    txns.py           the transaction shard as it sees it
    lending.py        who commits: the group commit, or the store by itself
    constraints.py    NOT NULL, CHECK and keys: what rows a table may hold
    finishing.py      ORDER BY, LIMIT, projection for rows that stay here
    dataflows.py      indexes and materialized views: made by statements and at boot
    running.py        sources and sinks in storage's words
    webhooks.py       HTTP requests become rows, through the group commit
    fast_indexes.py   indexes that the front reads without asking
    introspection.py  what is running, as rows of builtin tables (``dataflow_rows`` those of what
                      is computed); ``status_history`` what was
    statement_log.py  a sample of what sessions execute, as rows; ``statement_ends`` is told how,
                      ``statement_texts`` hides values, ``statement_retention`` forgets
    measurements.py   what is measured once a minute or hour: ``wallclock``, ``storage_usage``,
                      ``replica_metrics``; ``history`` keeps it bounded
    object_files.py   files in object stores and on the web, for COPY; ``parquet_files`` one format
    bootstrap.py      from the durable catalog to a running coordinator; ``replan`` is its half,
                      ``builtin_items`` and ``builtin_rows`` what the system brings
    controllers.py    what is asked of the layers below, as protocols

Nothing slow runs on the coordinator: planning is bounded, all waiting is ``await``. Order of every
change: the catalog's shard, the builtin tables, the controllers; boot finishes what a crash left.
"""
