"""Which keys of a table are taken; see ``rust/hw-types/src/keys.rs``.

``TableKeys(keys)``, keys being ``(columns, nulls_distinct)``, takes flat batches: ``load`` and
``loaded`` bring a stored table in, ``admit`` takes a write's keys and ``retract`` gives them back,
``admit_pending`` takes them for a transaction's ``KeyChanges`` alone, ``free`` keeps the rows that
meet no other. What is refused comes back as the key's number and the row.
"""

from headwater.native.loader import native

KeyChanges = native.KeyChanges
TableKeys = native.TableKeys
