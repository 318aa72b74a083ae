"""The Python side of the front end: what the native front asks, and who answers.

The native front (``rust/hw-front``) owns sockets, framing, prepared statements, portals, COPY and
the encoding of rows. It asks Python what a statement means, and Python answers with a row source;
rows never pass through here. In order of reading:

* ``protocol``: the messages of that conversation, mirrored by ``hw_front::protocol``;
* ``session_api``: what an adapter must implement to answer them;
* ``oids``: SQL types as clients see them (object id, size, modifier);
* ``server``: drains the front's queue, keeps each connection's requests in order, sends replies.

Out of scope: SQL, catalogs, transactions. This package imports nothing above ``cluster``; the
adapter implements its protocols, and ``environment`` joins the two.
"""
