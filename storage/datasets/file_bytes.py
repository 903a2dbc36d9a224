"""The bytes of text files: decompressed, converted to UTF-8 without a byte order mark, with line feeds as line ends."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from storage.datasets.errors import DatasetError

COMPRESSED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz", ".zip")


def _unpack_zstd(data: bytes) -> bytes:
    return pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()


def _unpack_zip(data: bytes) -> bytes:
    """Return the only file of an archive; an archive of several files, or a spreadsheet, is left as it is."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = [one for one in archive.infolist() if not (one.is_dir() or one.filename.startswith("__MACOSX/"))]
        return archive.read(files[0]) if len(files) == 1 else data


# The first bytes decide, not the suffix: downloads are often compressed or decompressed without a change of name.
_UNPACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"\x28\xb5\x2f\xfd": _unpack_zstd,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"PK\x03\x04": _unpack_zip,
}
_FOREIGN = {
    b"PK\x03\x04": "a spreadsheet or a zip archive of several files",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xd0\xcf\x11\xe0": "an .xls",
}


def find_file(folder: Path, name: str) -> Path | None:
    """Return `folder/name`, compressed or not; None if there is no such file."""
    return next((path for suffix in ("", *COMPRESSED_SUFFIXES) if (path := folder / (name + suffix)).is_file()), None)


def read_bytes(path: Path) -> bytes:
    """Return the file's bytes, decompressed.

    Raises:
        DatasetError: The compressed data are damaged or end too early.
    """
    data = path.read_bytes()
    for magic, unpack in _UNPACKERS.items():
        if data.startswith(magic):
            try:
                return unpack(data)
            except (
                OSError,
                EOFError,
                zlib.error,
                lzma.LZMAError,
                zipfile.BadZipFile,
                RuntimeError,
                ValueError,
            ) as error:
                raise DatasetError([f"{path}: cannot be decompressed ({error}); is the file complete?"]) from error
    return data


def read_text_bytes(path: Path) -> bytes:
    """Return a text file's bytes, decompressed and without a byte order mark.

    Text with the byte order mark of UTF-16 is converted to UTF-8; other text is returned as it is.

    Raises:
        DatasetError: The file is damaged, an archive, not the UTF-16 that its mark says, or holds zero bytes.
    """
    data = read_bytes(path)
    for magic, kind in _FOREIGN.items():
        if data.startswith(magic):
            raise DatasetError([f"{path}: it is {kind}, not text; export it as CSV or parquet"])
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise DatasetError([f"{path}: its byte order mark says UTF-16, but it is not ({error})"]) from error
    data = data.removeprefix(b"\xef\xbb\xbf")
    if (zero := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise DatasetError(
            [f"{path}, line {line}: a zero byte; the file is damaged, or UTF-16 without its byte order mark"]
        )
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")  # line ends of classic Mac OS
    return data


def not_utf8(path: Path, data: bytes, error: UnicodeDecodeError) -> DatasetError:
    """Return an error that names the first line that is not UTF-8."""
    line = data.count(b"\n", 0, error.start) + 1
    return DatasetError([f"{path}, line {line}: not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8"])
