"""The questions in a real browser: by keyboard alone, without JavaScript, and on paper."""

import pytest
from playwright.sync_api import Locator, Page

CHAPTER = "notebooks/01_theory.html"
LEAST_HEIGHT = 36


def answers(page: Page) -> Locator:
    return page.locator("#check-yourself details.answer")


@pytest.fixture
def chapter(visit, server: str):
    return lambda **options: visit(f"{server}/{CHAPTER}", **options)


def test_an_answer_opens_by_keyboard_and_says_why(chapter) -> None:
    page = chapter()
    first, second = answers(page).nth(0), answers(page).nth(1)
    assert not first.locator("p").is_visible()
    first.locator("summary").focus()
    page.keyboard.press("Tab")  # from one answer to the next
    label = second.locator("summary").inner_text()
    assert page.evaluate("document.activeElement.textContent") == label
    page.keyboard.press("Enter")
    assert second.locator("p").is_visible()
    assert second.locator("p").inner_text().startswith(("No. ", "Right. "))
    assert not first.locator("p").is_visible()
    page.keyboard.press("Space")
    assert not second.locator("p").is_visible()


def test_focus_is_seen_and_rows_are_high_enough(chapter) -> None:
    page = chapter(viewport={"width": 390, "height": 900})
    rows = answers(page).locator("summary")
    heights = rows.evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
    assert min(heights) >= LEAST_HEIGHT
    rows.first.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2


def test_answers_need_no_javascript(chapter) -> None:
    page = chapter(java_script_enabled=False, forgiven=["missing"])
    first = answers(page).first
    first.locator("summary").click()
    assert first.locator("p").is_visible()


def test_all_answers_are_readable_on_paper(chapter) -> None:
    page = chapter()
    page.emulate_media(media="print")
    reasons = answers(page).locator("p")
    heights = reasons.evaluate_all("all => all.map(p => p.getBoundingClientRect().height)")
    assert len(heights) == answers(page).count()
    assert min(heights) > 10
    assert all(reasons.nth(i).is_visible() for i in range(len(heights)))
