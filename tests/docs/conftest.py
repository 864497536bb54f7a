from tests.surroundings import _no_settings_of_the_user  # noqa: F401
