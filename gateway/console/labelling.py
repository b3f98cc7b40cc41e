"""What the fields of a page are called: read from the page itself, so that it is what stands beside them. Pure."""

from html.parser import HTMLParser

Attributes = list[tuple[str, str | None]]


def labels_in(page: str) -> dict[str, str]:
    """Id of each field of *page* → its label, without its hint; of one in a group that has a name, behind that."""
    reader = _Reader()
    reader.feed(str(page))  # no Markup: what is read out of it is plain text
    return {field: " ".join(said.split()) for field, said in reader.found.items()}


class _Reader(HTMLParser):
    """Reads labels, and legends of groups; their hints are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._group = ("", "")  # id and name
        self._field = ""
        self._left_out = 0

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "fieldset":
            self._group = given.get("id", ""), given.get("aria-label", "")
        elif tag in ("label", "legend"):
            self._field = given.get("for", "") if tag == "label" else self._group[0]
            if self._field:
                self.found[self._field] = f"{self._group[1]}: " if self._group[1] else ""
        elif tag == "span" and (self._left_out or "hint" in given.get("class", "").split()):
            self._left_out += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "fieldset":
            self._group = "", ""
        elif tag in ("label", "legend"):
            self._field = ""
        elif tag == "span" and self._left_out:
            self._left_out -= 1

    def handle_data(self, data: str) -> None:
        if self._field and not self._left_out:
            self.found[self._field] += data
