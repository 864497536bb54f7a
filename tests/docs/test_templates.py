"""The forms of the issue tracker are valid, and one file names the repository."""

import tomllib

import pytest
import yaml

from tests.docs.snippets import PAGES, ROOT

FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


@pytest.mark.parametrize("path", [path for path in FORMS if path.stem != "config"], ids=str)
def test_a_form_has_a_name_and_questions_with_labels(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert form["name"]
    assert form["description"]
    assert {question["type"] for question in form["body"]} <= KINDS
    assert all(question["attributes"]["label"] for question in form["body"])
    assert len({question["id"] for question in form["body"]}) == len(form["body"])


@pytest.mark.parametrize(
    "path", [*PAGES, *map(str, ROOT.glob(".github/**/*.yml")), *map(str, ROOT.glob("notebooks/*"))]
)
def test_only_pyproject_names_the_address_of_the_repository(path):
    homepage = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
        "Homepage"
    ]
    assert homepage not in (ROOT / path).read_text("utf-8")
