//! The framed channel between headwaterd and a replica process, and the bookkeeping of peeks over it.
