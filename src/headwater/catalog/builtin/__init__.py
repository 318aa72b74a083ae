"""The system's own relations: ``mz_catalog``, ``mz_internal``, ``pg_catalog`` and the rest.

What the catalog holds is shown as rows of builtin tables (``tables`` describes them, ``pack`` makes
the rows of an object), written with the same timestamps as everything else; whatever can be said in
SQL over those is a view (``views``, ``pg_views``), planned like a user's. So a query over the
catalog is a query: it joins, it can be subscribed to, it is answered as of one time.

``types`` lists the builtin types, ``initial`` the objects of an empty environment.
"""
