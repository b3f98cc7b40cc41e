"""
A close report as people sign it: a page of HTML, or a PDF.

    wording.py    what it says: sections of columns and rows, in a locale
    page.py       the page, from page.html and page.css
    paper.py      the PDF
    __main__.py   either of them as a program, which a gateway runs beside its loop

The same report gives the same bytes.
"""
