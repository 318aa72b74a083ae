"""The sqllogictest corpus beside the project, with a ratchet: what passed once must pass.

``corpus``       the parts of the corpus, how each is played, and the outcome of a run
``ratchet``      which records pass, in ``ratchet-<part>.txt``, and what has been lost
``conformance``  ``docs/user/conformance.md`` from a run: numbers, and every failure by its cause
``maintained``   the corpus' queries as views that are maintained, compared with the query itself
``test_corpus``  a run of the whole corpus against the ratchet; skipped where there is no corpus

``pytest tests/slt --rewrite-ratchet`` records progress: ratchet files and the page.
"""
