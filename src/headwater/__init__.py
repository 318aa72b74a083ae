"""headwater: a streaming database.

The tree is the architecture; each package opens with a tour of itself. Layers, outermost first::

    cli > embed > environment > http | console > adapter > pgwire > cluster
        > sql | compute | storage > catalog > persist > ir > native > types > runtime > errors
"""

__version__ = "0.1.0"
