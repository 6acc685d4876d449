"""The questions of each chapter: enough, with one right answer and a reason for every answer."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHORTEST_REASON = 6  # words
QUESTION = re.compile(r"\*\*(\d+)\.")
# A blank line before and after the reason, or its Markdown would stay unread inside the HTML.
ANSWER = re.compile(
    r'<details class="answer"><summary>([^\n]+)</summary>\n\n'
    r"\*\*(Right|No)\.\*\* ((?:(?!\n\n).)+)\n\n</details>",
    flags=re.DOTALL,
)


class Answer(NamedTuple):
    text: str
    right: bool
    reason: str


class Question(NamedTuple):
    number: int
    text: str
    answers: list[Answer]

    @property
    def place(self) -> int:
        return [answer.right for answer in self.answers].index(True)


def chapters() -> list[Path]:
    """Return the notebooks that teach: all but the pages to look things up."""
    found = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    return [path for path in found if load(path)["metadata"].get("kind") != "page"]


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def section(notebook: dict) -> list[str]:
    """Return the cells from the heading of the questions to that of the exercises."""
    texts = ["".join(cell["source"]) for cell in notebook["cells"]]
    heads = [text.splitlines()[0] if text else "" for text in texts]
    assert heads.count("## Check yourself") == 1, "no section of questions, or two"
    return texts[heads.index("## Check yourself") : heads.index("## Exercises")]


def read(cell: str) -> Question:
    """Take a question's cell apart, and refuse what is left over."""
    number = QUESTION.match(cell)
    assert number, f"a question begins with its number in bold: {cell[:60]}"
    answers = [Answer(text, mark == "Right", why) for text, mark, why in ANSWER.findall(cell)]
    rest = ANSWER.sub("", cell).strip()
    assert "details" not in rest, f"an answer that is not of the usual form: {rest}"
    assert "\n\n" not in rest, f"answers and question are mixed: {rest}"
    return Question(int(number.group(1)), rest, answers)


@pytest.fixture(params=chapters(), ids=lambda path: path.stem)
def questions(request: pytest.FixtureRequest) -> list[Question]:
    return [read(cell) for cell in section(load(request.param))[1:]]


def test_three_questions_or_more_in_order(questions: list[Question]) -> None:
    assert [question.number for question in questions] == list(range(1, len(questions) + 1))
    assert len(questions) >= 3
    assert all("?" in question.text for question in questions)


def test_one_answer_of_several_is_right(questions: list[Question]) -> None:
    for question in questions:
        assert len(question.answers) >= 3, question.text
        assert sum(answer.right for answer in question.answers) == 1, question.text
        assert len({answer.text for answer in question.answers}) == len(question.answers)


def test_every_answer_has_a_reason_of_its_own(questions: list[Question]) -> None:
    reasons = [answer.reason for question in questions for answer in question.answers]
    assert [why for why in reasons if len(why.split()) < SHORTEST_REASON] == []
    assert len(set(reasons)) == len(reasons)


def test_answers_are_plain_text_or_simple_html(questions: list[Question]) -> None:
    for answer in (answer for question in questions for answer in question.answers):
        assert not re.search(r"[$`*]|\{\w+\}", answer.text), f"stays unread: {answer.text}"


def test_the_right_answer_is_not_found_by_its_place_or_length(questions: list[Question]) -> None:
    assert len({question.place for question in questions}) >= 2
    lengths = [[len(answer.text) for answer in question.answers] for question in questions]
    longest = [each.index(max(each)) for each in lengths]
    assert longest != [question.place for question in questions]
