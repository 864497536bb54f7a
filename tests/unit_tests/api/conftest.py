from tests.unit_tests.faults.conftest import _no_token, _quick_retries, space  # noqa: F401
