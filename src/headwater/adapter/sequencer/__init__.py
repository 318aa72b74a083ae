"""Carrying out planned statements: one kind, one module.

``dispatch`` picks the module. ``read`` is what all reads share (cluster, time, holds, plan);
``select``, ``subscribe``, ``insert``, ``read_then_write``, ``copy``, ``cursor``, ``explain``,
``variables`` and ``transaction`` answer by themselves; ``mixing`` is what a transaction sees of its
own writes. What changes the catalog is prepared by ``create``, ``source``, ``connection``,
``cluster``, ``drop`` and ``alter`` as :class:`~.ddl.Work`, which ``ddl`` commits, stages or
performs; ``replan`` makes what is in the catalog from its statement again, at boot and where that
statement has changed. Columns of tables are changed by ``alter_table``: ``shaping`` places them in
rows, ``readers`` says who follows and who is in the way, ``rewriting`` gives rows values of another
type; ``rename_column`` is for views too.
"""
