"""Which form a document has, told by what it holds and then by its name, and how it is read."""

from tunesmith.data_files import DOCUMENT_ENDINGS, DOCUMENTS, unpacked_name
from tunesmith.settings import Documents
from tunesmith_jobs.documents.block import Read, Unreadable, clean
from tunesmith_jobs.documents.html import blocks_of_html, declared_encoding
from tunesmith_jobs.documents.markdown import blocks_of_markdown
from tunesmith_jobs.documents.pdf import read_pdf
from tunesmith_jobs.documents.plain import blocks_of_text
from tunesmith_jobs.own_data.decode import decode, lone_surrogate
from tunesmith_jobs.own_data.reader import SourceFile

_AS_PDF = "save it as PDF, HTML, Markdown or text"
_BINARY = {  # how files begin that are none of ours -> what they are
    b"PK\x03\x04": "a zip archive, or a Word, OpenDocument or EPUB file",
    b"\xd0\xcf\x11\xe0": "an old Word, Excel or PowerPoint file",
    b"{\\rtf": "a file in RTF",
    b"%!PS": "a PostScript file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"II*\0": "a picture",
    b"MM\0*": "a picture",
}
_LOOKED_AT = 1024  # bytes; a PDF may have some in front of it
_MANY = 0.02  # share of control characters that no text has
_PAGE = ("<!doctype html", "<html", "<?xml")


def read_document(file: SourceFile, documents: Documents) -> Read:
    """The blocks of a file. Raises Unreadable, or BadData for an encoding that cannot be told."""
    data = file.data
    if b"%PDF-" in data[:_LOOKED_AT]:
        return read_pdf(data)
    for magic, what in _BINARY.items():
        if data.startswith(magic):
            raise Unreadable(f"is {what}", _AS_PDF)
    form = _form(file)
    if form == "pdf":
        raise Unreadable("is no PDF: it does not begin as one", "save it anew, or take it out")
    text, notes = _text(file, documents, by_page=form == "html")
    if form == "html" or (form == "text" and text.lstrip().lower().startswith(_PAGE[:2])):
        return Read("HTML", blocks_of_html(text), notes)
    if form == "markdown":
        return Read("Markdown", blocks_of_markdown(text), notes)
    return Read("text", blocks_of_text(text), notes)


def _form(file: SourceFile) -> str:
    name = unpacked_name(file.name).lower()
    return next((form for form, endings in DOCUMENT_ENDINGS.items() if name.endswith(endings)), "text")


def _text(file: SourceFile, documents: Documents, *, by_page: bool) -> tuple[str, tuple[str, ...]]:
    """The text of a file, and what is to be said of it."""
    encoding = documents.encoding
    if encoding == "auto" and by_page and not _is_utf_8(file.data):
        encoding = declared_encoding(file.data) or encoding
    decoded = decode(file.data, encoding, file.name, path=DOCUMENTS.path)
    text = decoded.text
    if len(clean(text)) < (1 - _MANY) * len(text.replace("\r\n", "\n")):
        raise Unreadable("is no text", _AS_PDF)
    notes = []
    if bad := lone_surrogate(text):
        notes.append(f"{bad}; such bytes are left out")
    elif "guess" in decoded.encoding:
        notes.append(f"read as {decoded.encoding}")
    return text, tuple(notes)


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
