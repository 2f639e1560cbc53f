"""docs/reliability.md names the tests that hold its promises, and `make promises` runs those."""

import pytest
from promises import files_called, named_files


@pytest.mark.parametrize("name", named_files())
def test_what_the_page_names_is_one_file_of_tests(name: str) -> None:
    (file,) = files_called(name)
    assert "def test_" in file.read_text("utf-8")
