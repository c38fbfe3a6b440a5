import pytest

pytest.register_assert_rewrite("leveret.testing.conformance")
