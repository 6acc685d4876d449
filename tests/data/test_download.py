"""Downloads from a server on this machine that behaves well, badly, or not at all."""

import hashlib
import io
import re
import socket
import threading
import zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from unet_lib.data import DataError, fetch_archive
from unet_lib.data.sets.download import data_folder


def zip_bytes(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def sha256(body):
    return hashlib.sha256(body).hexdigest()


GOOD = zip_bytes({"cells/a.txt": "one", "cells/more/b.txt": "two" * 5000})


class Handler(BaseHTTPRequestHandler):
    """Answers with the server's `body`; cut short when `cut` is set."""

    def do_GET(self):
        server = self.server
        server.requests += 1
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.body)))
        self.end_headers()
        self.wfile.write(server.body[: server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.body, server.cut, server.status, server.requests = GOOD, None, 200, 0
        server.url = f"http://127.0.0.1:{server.server_port}/cells.zip"
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.01)).start()
        yield server
        server.shutdown()


def fetch_good_afterwards(server, folder):
    """What a failed call must leave: nothing, and a way to succeed."""
    assert list(folder.parent.iterdir()) == []
    server.body, server.cut, server.status = GOOD, None, 200
    assert fetch_archive(server.url, sha256(GOOD), folder) == folder
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "more"]


def test_good_archive_is_unpacked_and_not_fetched_twice(server, tmp_path):
    folder = tmp_path / "new" / "dsb"
    for _ in range(2):
        assert fetch_archive(server.url, sha256(GOOD), folder) == folder
    assert server.requests == 1
    assert (folder / "a.txt").read_text() == "one"
    assert (folder / "more" / "b.txt").read_text() == "two" * 5000
    assert list(folder.parent.iterdir()) == [folder], "neither the archive nor a temporary file"


def test_archive_without_a_folder_of_its_own_and_an_empty_target(server, tmp_path):
    server.body = zip_bytes({"a.txt": "one", "b.txt": "two"})
    folder = tmp_path / "dsb"
    folder.mkdir()
    fetch_archive(server.url, sha256(server.body), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"body": zip_bytes({"a.txt": "something else"})}, f"its sha256 is not {sha256(GOOD)}"),
        ({"cut": len(GOOD) // 2}, r"could not be downloaded \("),
        ({"status": 404}, r"could not be downloaded \(404"),
    ],
    ids=["another", "cut", "missing"],
)
def test_fault_27_a_failed_download_leaves_nothing(server, tmp_path, fault, text):
    vars(server).update(fault)
    by_hand = re.escape(f"call again, or by hand: save {server.url} as {tmp_path / 'cells.zip'}")
    with pytest.raises(DataError, match=f"(?s){text}.*; {by_hand}"):
        fetch_archive(server.url, sha256(GOOD), tmp_path / "dsb")
    fetch_good_afterwards(server, tmp_path / "dsb")


def test_fault_27_no_zip_archive(server, tmp_path):
    server.body = b"<html>please log in</html>"
    with pytest.raises(DataError, match="cannot be unpacked"):
        fetch_archive(server.url, sha256(server.body), tmp_path / "dsb")
    fetch_good_afterwards(server, tmp_path / "dsb")


def test_fault_27_nothing_is_written_outside_the_folder(server, tmp_path):
    names = ["../evil.txt", "/evil.txt", "cells/../../evil.txt", "C:\\evil"]
    server.body = zip_bytes({"cells/a.txt": "one"} | dict.fromkeys(names, "evil"))
    fetch_archive(server.url, sha256(server.body), tmp_path / "new" / "dsb")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["dsb"]


def test_fault_27_a_symbolic_link_stays_inside_the_folder(server, tmp_path):
    (tmp_path / "evil.txt").write_text("as it was")
    link = zipfile.ZipInfo("cells/link")
    link.external_attr = 0o120777 << 16  # what a link is for unzip
    server.body = zip_bytes({"cells/a.txt": "one", link: "../../evil.txt"})
    folder = fetch_archive(server.url, sha256(server.body), tmp_path / "new" / "dsb")
    assert not (folder / "link").is_symlink()
    assert (folder / "link").read_text() == "../../evil.txt"
    assert (tmp_path / "evil.txt").read_text() == "as it was"


def test_fault_27_offline_then_placed_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/cells.zip"
    archive = tmp_path / "cells.zip"
    with pytest.raises(DataError) as error:
        fetch_archive(url, sha256(GOOD), tmp_path / "dsb")
    assert str(error.value).startswith(f"{tmp_path / 'dsb'}: {url} could not be downloaded (")
    assert f"by hand: save {url} as {archive} (sha256 {sha256(GOOD)})" in str(error.value)

    archive.write_bytes(GOOD[:100])
    with pytest.raises(DataError) as error:
        fetch_archive(url, sha256(GOOD), tmp_path / "dsb")
    assert str(error.value) == (
        f"{archive}: its sha256 is {sha256(GOOD[:100])}, expected {sha256(GOOD)}: "
        "it is damaged or another file; remove it and call again"
    )

    archive.write_bytes(GOOD)
    assert (fetch_archive(url, sha256(GOOD), tmp_path / "dsb") / "a.txt").exists()
    assert archive.exists(), "a file that the user placed is the user's"


def test_data_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("UNET_DATA_DIR", str(tmp_path))
    assert data_folder("voc") == tmp_path / "voc"
    monkeypatch.setenv("UNET_DATA_DIR", "")
    assert data_folder("voc").parts == ("data", "voc")
