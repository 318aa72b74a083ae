"""Planning of statements: one module a family, each with a table ``HANDLERS`` by AST class.

A handler takes the statement's context and the statement and returns what the sequencer executes
and the columns of its answer. ``headwater.sql.plan.planning`` joins the tables.
"""
