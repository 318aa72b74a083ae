"""Planning of expressions: one module a family of nodes, each with a table ``HANDLERS``.

``handlers`` joins the tables; ``context.ExprContext.plan`` looks nodes up in it. A handler takes
the context and the node and returns a scalar, or raises the error PostgreSQL gives.
"""
