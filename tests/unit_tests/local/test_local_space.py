"""What a local Space refuses before it is started."""

import pytest

from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.local import LocalSpace


@pytest.mark.parametrize(
    ("name", "value"),
    [("concurrency", 0), ("max_queue", 0), ("port", -1), ("pace", -0.1), ("start_timeout", -1)],
)
def test_a_number_with_which_calls_would_hang_or_fail_is_refused(name, value):
    with pytest.raises(InvalidInputError, match=name):
        LocalSpace(**{name: value})
