"""PDFs of a few pages, written by hand: Helvetica, one line below another, or a picture of nothing."""

import io
from collections.abc import Sequence

_TOP, _LINE = 780, 14  # points


def small_pdf(pages: Sequence[Sequence[str]], *, password: str = "", owner: str = "") -> bytes:
    """A PDF whose pages have these lines; a page without lines has a rectangle and no text.

    `password`: without which it does not open; `owner`: without which it may only be read.
    """
    objects: list[bytes] = []
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(b"<< /Type /Catalog /Pages 2 0 R >>")
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    for number, lines in enumerate(pages):
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * number} 0 R "
        objects.append(f"{page}/Resources << /Font << /F1 3 0 R >> >> >>".encode())
        content = _content(lines)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _encrypted(_file(objects), password, owner) if password or owner else _file(objects)


def _content(lines: Sequence[str]) -> bytes:
    if not lines:
        return b"0.5 g 100 100 300 500 re f"
    shown = [b"BT /F1 11 Tf 50 %d Td %d TL" % (_TOP, _LINE)]
    for line in lines:
        text = line.encode("cp1252").replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
        shown.append(b"(%s) Tj T*" % text)
    return b"\n".join([*shown, b"ET"])


def _file(objects: Sequence[bytes]) -> bytes:
    out, places = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    out.write(trailer % (len(objects) + 1, table))
    return out.getvalue()


def _encrypted(data: bytes, password: str, owner: str) -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer, out = PdfWriter(PdfReader(io.BytesIO(data))), io.BytesIO()
    writer.encrypt(password, owner or None, algorithm="AES-256")
    writer.write(out)
    return out.getvalue()
