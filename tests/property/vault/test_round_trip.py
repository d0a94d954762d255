"""Whatever can be sealed opens as itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.vault.datakey import DataKey
from carelink.vault.envelope import FieldContext, Padding, open_field, seal
from carelink.vault.personal import SecretKey

VALUES = st.none() | st.text(st.characters(codec="utf-8")) | st.binary() | st.integers() | st.dates() | st.booleans()


@pytest.mark.property
@given(st.binary(min_size=32, max_size=32), VALUES, st.sampled_from(Padding))
def test_sealed_values_open_as_themselves(raw, value, pad):
    key, place = DataKey(SecretKey(raw), "t", "0" * 32), FieldContext("t", "a", "b", "c")
    opened = open_field(key, place, seal(key, place, value, pad))
    assert opened == value
    assert type(opened) is type(value)
