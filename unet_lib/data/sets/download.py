"""Fetch an archive by its address: checked, unpacked whole or not at all, safe to call again."""

import os
import tempfile
import zipfile
from pathlib import Path

import pooch

from unet_lib.data.findings import DataError


def data_folder(name: str) -> Path:
    """Where data set `name` is kept: in the folder that UNET_DATA_DIR names, else in `data`."""
    return Path(os.environ.get("UNET_DATA_DIR") or "data") / name


def fetch_archive(url: str, sha256: str, folder: str | Path) -> Path:
    """Download a zip archive, check it and unpack it into `folder`, unless it is there already.

    The folder appears only when all of it is there: after a broken connection, a wrong checksum
    or a full disk nothing is left behind, and the next call starts afresh. If the archive holds
    one folder and nothing else, its contents become those of `folder`. An archive that someone
    placed beside `folder` by hand, under its own name, is used instead of a download, and kept.

    Raises DataError without a connection, for a wrong checksum (64 hexadecimal digits) or no zip
    archive; the text says how to get the data by hand.

    >>> folder = Path(tempfile.mkdtemp(), "cells")
    >>> fetch_archive("http://localhost:1/cells.zip", "0" * 64, folder)
    Traceback (most recent call last):
        ...
    unet_lib.data.findings.DataError: ...cells: http://localhost:1/cells.zip could not be...
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    archive = folder.parent / url.rsplit("/", 1)[-1]
    if archive.exists():
        found = pooch.file_hash(str(archive), alg="sha256")
        if found != sha256:
            raise DataError(
                f"{archive}: its sha256 is {found}, expected {sha256}: it is damaged or another "
                "file; remove it and call again"
            )
        _unpack(archive, folder)
        return folder
    _download(url, sha256, archive, folder)
    try:
        _unpack(archive, folder)
    finally:
        archive.unlink()
    return folder


def by_hand(url: str, sha256: str, folder: Path) -> str:
    """How to get an archive without this program, as messages tell it.

    >>> print(by_hand("http://example.org/cells.zip", "ab12", Path("data/cells")))
    by hand: save http://example.org/cells.zip as data/cells.zip (sha256 ab12) and call again
    """
    archive = folder.parent / url.rsplit("/", 1)[-1]
    return f"by hand: save {url} as {archive} (sha256 {sha256}) and call again"


def _download(url: str, sha256: str, archive: Path, folder: Path) -> None:
    """Get the archive; pooch writes beside, compares the checksum, then renames."""
    pooch.get_logger().setLevel("WARNING")  # the progress bar says enough
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=archive.name,
            path=archive.parent,
            progressbar=True,
        )
    except OSError as error:  # all errors of the network are children of it
        raise DataError(
            f"{folder}: {url} could not be downloaded ({error}); "
            f"call again, or {by_hand(url, sha256, folder)}"
        ) from error
    except ValueError as error:
        raise DataError(
            f"{folder}: what came from {url} is not what was expected, its sha256 is not "
            f"{sha256}: the download was damaged or the file exchanged; "
            f"call again, or {by_hand(url, sha256, folder)}"
        ) from error


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack into a temporary folder beside `folder`, then rename it."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        contents = Path(temporary, "contents")
        try:
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(contents)  # drops what would lead out of the folder
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{archive}: cannot be unpacked ({error})") from error
        inside = [path for path in contents.iterdir() if path.name != "__MACOSX"]
        if len(inside) == 1 and inside[0].is_dir():
            contents = inside[0]
        if folder.is_dir():  # and empty
            folder.rmdir()
        contents.rename(folder)
