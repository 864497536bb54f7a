"""What a test of this folder is run for."""

from collections.abc import Iterable

import pytest

from .forms import FORMS, LAYOUTS, Form


def for_each(
    layouts: Iterable[str] = LAYOUTS, forms: Iterable[Form] = FORMS
) -> pytest.MarkDecorator:
    """Runs a test with every form, and each of these layouts that the form carries.

    The test gets them as `form` and `layout`, and through the fixtures `server` and `space`.
    """
    wanted = tuple(layouts)
    cases = [
        pytest.param(form, layout, id=f"{form.name}-{layout}")
        for form in forms
        for layout in form.layouts
        if layout in wanted
    ]
    return pytest.mark.parametrize(("form", "layout"), cases)
