"""Durable, timestamped collections: ``since``, ``upper``, batches of parts.

A *shard* is a durable collection of ``(row, time, diff)`` with an error half beside it. Its state
is a log of small versions in *consensus*; its data are immutable parts in *blob*, or inline in the
state while small. All I/O is here, in Python, on one asyncio loop; Rust encodes and decodes parts.

Modules, in the order in which an append meets them::

    flat.py               the flat update codec as Python sees it (stamp times, concatenate, read)
    parts.py              InlinePart, BlobPart, PartRef: where updates are and which of them count
    codec.py              parts as bytes: Parquet (in Rust), checksums, merging
    write.py              WriteHandle: compare_and_append
    client.py             PersistClient: opens shards, append_many
    machine.py            the shard's state machine: pure, deterministic
    log.py                a state machine over a versioned log: optimistic commits, roll-ups, waits
    consensus.py          Consensus (Protocol); consensus_sqlite, consensus_postgres, consensus_rpc
    rounds.py             RoundStore (Protocol): one that commits single-row inserts by itself
    rpc_wire.py           the messages of the last
    blob.py               Blob (Protocol); a folder, or any object store
    stores.py             open_consensus: a store by its URL
    read.py               ReadHandle: snapshot, listen, fetch
    holds.py              leased and durable read holds
    txns.py               the transaction shard: one log for all tables
    txns_read.py          TableReadHandle
    txns_machine.py       its state machine
    maintain.py           the client's background work: leases, roll-ups, the backstop poll
    compact.py            merging batches, removing what nothing refers to
    errors.py             UpperMismatch

The API other packages use (times are ints in ms, ``Frontier = int | None``, None = closed)::

    blob = await open_blob("file:///dir" | "/dir" | "s3://bucket/prefix?endpoint=…")
    consensus = await open_consensus(url, clock, rng, tasks, secret=b"")    # sqlite:///dir/file.db,
    #           postgres://…, rpc+unix:///path.sock (what a ConsensusServer serves), rpc+tcp://h:port
    server = await ConsensusServer.start(consensus, "unix:///path" | "tcp://h:p", tasks, secret)
    client = PersistClient(blob, consensus, SystemClock(), SystemRng(), SupervisedTasks())
    await client.start(); await client.close()

    writer = await client.open_writer(shard, desc, epoch=None)         # makes the shard if new
    writer.upper, writer.shard
    await writer.compare_and_append(flat, lower, upper, errors=flat)   # UpperMismatch(.current)
    parts = await writer.upload(flat)               # -> tuple[Part, ...]; large data beforehand
    await writer.compare_and_append(parts, lower, upper)
    await client.append_many([ShardAppend(writer, data, lower, upper, errors=b""), …])  # atomic

    reader = await client.open_reader(shard, txns=None)  # txns="…": a table, see below
    reader.desc, reader.since, reader.upper
    await reader.wait_upper(time)                   # returns when upper is beyond time
    snapshot = await reader.snapshot(as_of)         # .parts, .errors: tuple[PartRef, ...]
    async for delta in reader.listen(as_of): …      # Delta(lower, upper, parts, errors); first
                                                    # lower is as_of + 1; ends when upper is None
    data = await reader.fetch(ref)                  # the part's bytes, checksum verified
    flat = await reader.fetch_flat(ref)             # decoded, filtered, times advanced
    hold = await client.hold(shard, since)               # a lease; lease=False, name="…": durable
    await hold.downgrade(since); await hold.release()
    await client.downgrade_many([(hold, since), …])      # one commit for many shards
    await client.fence(shard, epoch); await client.finalize(shard)       # the latter drops it
    await client.sweep(txns=[txns_shard])           # at boot, and daily: what crashes left behind

    txns = await client.open_txns(shard)            # the transaction shard (headwaterd only)
    await txns.fence(epoch)                         # an older owner's commits raise Fenced
    await txns.register(time, [(table_shard, desc), …]); await txns.forget(time, [table_shard, …])
    await txns.commit(time, {table_shard: flat | parts})      # stamps all updates with time
    await txns.advance(time)                        # upper of every table becomes time + 1
    txns.upper, await txns.wait_upper(time)
    table = await client.open_reader(table_shard, txns=txns_shard)    # snapshot/listen as above

A :class:`PartRef` says which updates of a part count: their times are replaced by ``stamp`` if set;
those with ``lower <= time < upper`` stay; then times advance to at least ``as_of`` if set. Rust
applies the same rules (``hw_persist::PartFilter``); ``fetch_flat`` applies them for callers here.

Errors: :class:`UpperMismatch` (an append lost a race; ``current``), ``AsOfBeforeSince``,
``Fenced``, ``DataCorrupted`` (a blob missing or damaged), ``DiskFull`` (nothing changed),
``IncompatibleVersion``, ``ConnectionFailure`` (consensus did not answer in time: the outcome is
unknown, and trying the same again is safe).
"""
