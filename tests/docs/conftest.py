from tests.environment import _no_settings_of_the_user  # noqa: F401
