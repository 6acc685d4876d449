"""The tables of the chapters: {check: [(answer, words of the one line that it prints), ...]}."""

from collections.abc import Callable

import pytest


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a check and return the one line that it prints."""

    def run(check: Callable, answer: object) -> str:
        assert check(answer) is None
        printed, errors = capsys.readouterr()
        assert printed.startswith(("Right: ", "Not yet: ")), printed
        assert printed.count("\n") == 1
        assert not errors
        return printed

    return run


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of every row of a chapter's table."""
    if "words" in metafunc.fixturenames:
        rows = [(check, *row) for check, rows in metafunc.module.CASES.items() for row in rows]
        names = [f"{check.__name__}-{words}" for check, _, words in rows]
        metafunc.parametrize(("check", "answer", "words"), rows, ids=names)
