"""EXPLAIN TIMESTAMP's text."""

from headwater.adapter.sequencer.explain_timestamp import timestamp_text
from headwater.adapter.timestamps import Determination, InputFrontiers


class Names(dict):
    def is_index(self, key):
        return key == "u2"


def test_text():
    found = Determination(
        read_ts=1_673_618_185_152,
        oracle_ts=None,
        since=1_673_618_184_000,
        upper=None,
        inputs=(InputFrontiers("u2", 1_673_618_184_000, None),),
    )
    lines = timestamp_text(found, Names(u2="materialize.public.t_idx")).splitlines()
    assert lines[0] == "                query timestamp: 1673618185152 (2023-01-13 13:56:25.152)"
    assert "oracle" not in "".join(lines)
    assert lines[2] == "                          upper:[]"
    assert lines[3] == "                          since:[1673618184000 (2023-01-13 13:56:24.000)]"
    assert lines[4] == "        can respond immediately: true"
    assert lines[-3] == "source materialize.public.t_idx (u2, compute):"
    assert lines[-1] == "                 write frontier:[]"
