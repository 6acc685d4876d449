"""What the build of the book refuses: an address that is none, libraries that are not there."""

import shutil
from types import SimpleNamespace

import pytest
from sphinx.errors import ConfigError, ExtensionError

from book._ext import address, offline
from tools import browser


@pytest.mark.parametrize("url", ["example.org/book", "ftp://example.org", "https://a b", " "])
def test_an_address_that_is_none_is_named(monkeypatch, url) -> None:
    monkeypatch.setenv("BOOK_URL", url)
    with pytest.raises(ConfigError, match=r"BOOK_URL .* such as https://example\.org/book"):
        address.set_address(None, SimpleNamespace(html_baseurl=""))


@pytest.mark.parametrize("url", ["https://example.org/book", "http://localhost:8000/"])
def test_an_address_ends_with_one_slash(monkeypatch, url) -> None:
    monkeypatch.setenv("BOOK_URL", url)
    config = SimpleNamespace(html_baseurl="")
    address.set_address(None, config)
    assert config.html_baseurl == config.ogp_site_url == url.rstrip("/") + "/"


def test_missing_libraries_are_named_with_the_cure(tmp_path) -> None:
    html = SimpleNamespace(format="html")
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "html", builder=html)
    with pytest.raises(ExtensionError, match="is missing: remove the folder node_modules and run"):
        offline.copy_libraries(app, None)


def test_a_browser_that_is_not_there_is_no_browser(monkeypatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")
    assert browser.launch(None) is None
    monkeypatch.delenv("CHROMIUM")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert browser.launch(None) is None
