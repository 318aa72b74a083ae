"""SQL text becomes a tree: hand-written recursive descent, precedence climbing for operators.

In: text. Out: ``ast.statement.ParsedStatement``, each with its own text, or one error with the
position and what was expected. No names are resolved and no types checked.

The way: ``lexer`` (text to tokens) → ``stream`` (the cursor, its limits and its errors) →
``parser`` (the entries) → ``statement`` (which rule reads a statement) → one module a family:

- ``query``, ``table``, ``expression``, ``primary``, ``function``, ``data_type``
- ``dml``, ``session``, ``show``, ``explain``
- ``ddl``, ``column``, ``alter``, ``kind``, ``control``; ``connector``, ``format``, ``option``

Rules are functions over a ``TokenStream``: they look ahead and never go back.
"""
