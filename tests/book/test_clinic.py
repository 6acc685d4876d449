"""The clinic of page 9d: cards from its list, by symptom and by words."""

PAGE = "notebooks/09d_black_mask.html"


def test_cards_by_symptom_and_by_words(visit, server: str) -> None:
    page = visit(f"{server}/{PAGE}", viewport={"width": 390, "height": 900})
    cards = page.locator(".clinic-card:visible")
    assert page.locator('.clinic-symptoms [aria-pressed="true"]').count() == 1
    assert cards.count() > 10
    assert not page.locator("div.clinic").is_visible()
    page.get_by_role("button", name="The loss is NaN, huge or negative").press("Enter")
    assert 0 < cards.count() < 10
    page.get_by_label("Words").fill("bgr")
    assert cards.locator("a").all_inner_texts() == ["Blue for red"] * 2
    assert (
        page.get_by_role("button", name="All", exact=True).get_attribute("aria-pressed") == "true"
    )
    assert page.get_by_role("status").inner_text().startswith("1 of ")


def test_the_list_without_javascript(visit, server: str) -> None:
    page = visit(f"{server}/{PAGE}", java_script_enabled=False, forgiven=["missing"])
    assert page.locator("div.clinic a").first.is_visible()
