"""The forms of the issue tracker are such as GitHub takes."""

import pytest
import yaml

from tests.docs.snippets import ROOT

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


def test_weaknesses_are_reported_in_private():
    config = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/config.yml").read_text("utf-8"))
    assert any("advisories" in link["url"] for link in config["contact_links"])
