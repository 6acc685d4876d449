"""What the build of the book refuses: an address that is none, libraries that are not there."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from sphinx.errors import ConfigError, ExtensionError

from tools import browser

EXTENSIONS = Path(__file__).resolve().parents[2] / "book" / "_ext"


def load(name: str) -> ModuleType:
    """Import an extension of the book, which is no package."""
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("address", ["example.org/book", "ftp://example.org", "https://a b", " "])
def test_an_address_that_is_none_is_named(monkeypatch, address) -> None:
    monkeypatch.setenv("BOOK_URL", address)
    with pytest.raises(ConfigError, match=r"BOOK_URL .* such as https://example\.org/book"):
        load("address").set_address(None, SimpleNamespace(html_baseurl=""))


@pytest.mark.parametrize("address", ["https://example.org/book", "http://localhost:8000/"])
def test_an_address_ends_with_one_slash(monkeypatch, address) -> None:
    monkeypatch.setenv("BOOK_URL", address)
    config = SimpleNamespace(html_baseurl="")
    load("address").set_address(None, config)
    assert config.html_baseurl == config.ogp_site_url == address.rstrip("/") + "/"


def test_missing_libraries_are_named_with_the_cure(tmp_path) -> None:
    app = SimpleNamespace(
        srcdir=tmp_path, outdir=tmp_path / "html", builder=SimpleNamespace(format="html")
    )
    with pytest.raises(ExtensionError, match="is missing: remove the folder node_modules and run"):
        load("offline").copy_libraries(app, None)


def test_a_browser_that_is_not_there_is_no_browser(monkeypatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")
    assert browser.launch(None) is None
    monkeypatch.delenv("CHROMIUM")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert browser.launch(None) is None
