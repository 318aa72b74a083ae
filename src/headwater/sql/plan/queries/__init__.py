"""Planning of queries.

``planner`` (WITH, set operations, VALUES, LIMIT) calls ``select`` (one SELECT: grouping, windows,
ordering, DISTINCT), which calls ``from_clause`` (tables, joins) and ``table_functions``.
``grouping`` rewrites expressions onto the columns that grouping makes; ``naming`` names columns.
"""
