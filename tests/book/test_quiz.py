"""The questions in a real browser: by keyboard alone, without JavaScript, and on paper."""

from playwright.sync_api import Browser, Locator, Page

CHAPTER = "notebooks/01_theory.html"
LEAST_HEIGHT = 36


def answers(page: Page) -> Locator:
    """Return all answers of a page, open or not."""
    return page.locator("#check-yourself details.answer")


def test_an_answer_opens_by_keyboard_and_says_why(browser: Browser, server: str) -> None:
    page = browser.new_page()
    page.goto(f"{server}/{CHAPTER}")
    first, second = answers(page).nth(0), answers(page).nth(1)
    assert not first.locator("p").is_visible()
    first.locator("summary").focus()
    page.keyboard.press("Tab")  # from one answer to the next
    assert (
        page.evaluate("document.activeElement.textContent")
        == second.locator("summary").inner_text()
    )
    page.keyboard.press("Enter")
    assert second.locator("p").is_visible()
    assert second.locator("p").inner_text().startswith(("No. ", "Right. "))
    assert not first.locator("p").is_visible()
    page.keyboard.press("Space")
    assert not second.locator("p").is_visible()
    page.close()


def test_focus_is_seen_and_rows_are_high_enough(browser: Browser, server: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(f"{server}/{CHAPTER}")
    rows = answers(page).locator("summary")
    heights = rows.evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
    assert min(heights) >= LEAST_HEIGHT
    rows.first.focus()
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2
    page.close()


def test_answers_need_no_javascript(browser: Browser, server: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{server}/{CHAPTER}")
    first = answers(page).first
    first.locator("summary").click()
    assert first.locator("p").is_visible()
    page.context.close()


def test_all_answers_are_readable_on_paper(browser: Browser, server: str) -> None:
    page = browser.new_page()
    page.goto(f"{server}/{CHAPTER}")
    page.emulate_media(media="print")
    reasons = answers(page).locator("p")
    heights = reasons.evaluate_all("all => all.map(p => p.getBoundingClientRect().height)")
    assert len(heights) == answers(page).count()
    assert min(heights) > 10
    assert all(reasons.nth(i).is_visible() for i in range(len(heights)))
    page.close()
