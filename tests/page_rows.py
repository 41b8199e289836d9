"""Reads the tables of a report's page as text, whatever the markup around it."""

from html.parser import HTMLParser


def rows_of(page):
    """The cells of every row of every table of a page, in order."""
    parser = _Rows()
    parser.feed(page)
    return [tuple(row) for row in parser.rows]


class _Rows(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self._inside = [], False

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.rows[-1][-1] += data
