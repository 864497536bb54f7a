"""`docs/developers/faults.md` names a test for every fault, and a fault for every test of these folders."""

import re
from pathlib import Path

FOLDERS = (
    Path(__file__).parent,
    Path(__file__).parents[2] / "integration_tests" / "faults",
)
TABLE = Path(__file__).parents[3] / "docs" / "developers" / "faults.md"


def names_in_the_folders() -> set[str]:
    return {
        name
        for folder in FOLDERS
        for path in folder.glob("test_*.py")
        if path != Path(__file__)
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }


def rows() -> list[list[str]]:
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "fault" and set(row[0]) != {"-"}]


def test_every_row_says_what_must_happen_and_names_tests_that_exist():
    known = names_in_the_folders()
    assert rows()
    for row in rows():
        assert len(row) == 3, row
        assert all(row), row
        named = re.findall(r"test_\w+", row[2])
        assert named, row
        assert set(named) <= known, set(named) - known


def test_every_test_has_a_row():
    named = set(re.findall(r"test_\w+", " ".join(row[2] for row in rows())))
    assert names_in_the_folders() - named == set()
