"""The ``headwater`` command: ``main`` and one module per command."""
