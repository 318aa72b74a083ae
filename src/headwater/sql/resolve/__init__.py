"""What names mean: of tables and columns in a query, of objects in the catalog, of types.

Modules: ``scope`` (columns in sight of an expression), ``names`` (objects in the catalog, and the
ids that stored SQL carries in their place), ``datatypes`` (SQL's type names). Nothing here plans.
"""
