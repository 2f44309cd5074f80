"""The marked parts of a card: what is generated lies between two marks, everything else belongs to people.

    <!-- fgbg-depth:begin statistics -->
    ... made from the data, replaced whenever the card is made again ...
    <!-- fgbg-depth:end statistics -->

All functions are pure: text in, text out.
"""

import re
from dataclasses import dataclass

from ..errors import DataError

KEPT_PARTS = ("changelog",)  # filled when a version is published; made empty, and never replaced
OWN_PLACE_AFTER = "summary"  # the text of a card without marks goes behind this part
_MARK = re.compile(r"^<!-- fgbg-depth:(begin|end) ([a-z_-]+) -->[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Segment:
    """A piece of a card: a generated part (with a name), or text of people (name "").

    Attributes:
        name: of the part.
        text: for a part, what lies between the two marks.
    """

    name: str
    text: str

    def render(self):
        if not self.name:
            return self.text
        return f"<!-- fgbg-depth:begin {self.name} -->{self.text}<!-- fgbg-depth:end {self.name} -->"


def split_parts(body):
    """Cut a card's body at its marks.

    Args:
        body: the card's text without its YAML block; lines end with "\\n".

    Returns:
        list of Segment; joined again by `join_parts` it is the same text.

    Raises:
        DataError: a mark without its partner, one inside another, or two parts of one name.
    """
    segments, position, opened = [], 0, None
    for mark in _MARK.finditer(body):
        action, name = mark[1], mark[2]
        line = body.count("\n", 0, mark.start()) + 1
        if action == "begin":
            if opened:
                raise DataError(_bad_mark(line, f"begin {name} inside of {opened[0]}"))
            if any(segment.name == name for segment in segments):
                raise DataError(_bad_mark(line, f"a second part {name}"))
            segments.append(Segment("", body[position : mark.start()]))
            opened = (name, mark.start() + len(f"<!-- fgbg-depth:begin {name} -->"))
        else:
            if not opened or opened[0] != name:
                raise DataError(_bad_mark(line, f"end {name} without its begin"))
            segments.append(Segment(name, body[opened[1] : mark.start()]))
            position, opened = mark.start() + len(f"<!-- fgbg-depth:end {name} -->"), None
    if opened:
        raise DataError(_bad_mark(body.count("\n", 0, opened[1]) + 1, f"begin {opened[0]} without its end"))
    return [s for s in (*segments, Segment("", body[position:])) if s.name or s.text]


def _bad_mark(line, what):
    return (
        f"README.md, line {line} below the YAML block: {what}. The marks <!-- fgbg-depth:begin ... --> and <!-- fgbg-depth:end ... --> "
        f"tell generated text from yours; mend them, or move README.md away, and run `fgbg-depth card` again"
    )


def join_parts(segments):
    """The text of some segments."""
    return "".join(segment.render() for segment in segments)


def parts_of(body):
    """{name: text} of the generated parts of a body."""
    return {segment.name: segment.text for segment in split_parts(body) if segment.name}


def merge_body(found, new):
    """Put new generated parts into a card that is there.

    Args:
        found: body of the card that is there, "" for none.
        new: body as it would be generated now.

    Returns:
        the merged body. Text outside of the marks stays as it is. A part that was deleted comes back behind its
        predecessor; a part that isn't generated any more goes. A card without any mark keeps its text behind the
        summary.
    """
    fresh = split_parts(new)
    if not found.strip():
        return new
    segments = split_parts(found)
    if not any(segment.name for segment in segments):
        return join_parts(_with_own_text(fresh, found))
    wanted = {segment.name: segment for segment in fresh if segment.name}
    merged = [_renewed(s, wanted) for s in segments if not s.name or s.name in wanted]
    previous = None
    for name, segment in wanted.items():
        if not any(s.name == name for s in merged):
            _insert(merged, segment, previous)
        previous = name
    return join_parts(merged)


def _renewed(segment, wanted):
    return segment if not segment.name or segment.name in KEPT_PARTS else wanted[segment.name]


def _insert(merged, segment, previous):
    """Put a part behind the part `previous` (None: at the top), with a blank line before it."""
    names = [s.name for s in merged]
    at = names.index(previous) + 1 if previous else 0
    merged[at:at] = [Segment("", "\n\n"), segment] if previous else [segment, Segment("", "\n\n")]


def _with_own_text(fresh, own):
    """Fresh segments with somebody's text in the place that is meant for it."""
    at = next(i for i, s in enumerate(fresh) if s.name == OWN_PLACE_AFTER) + 1
    place = fresh[at].text if at < len(fresh) and not fresh[at].name else "\n"
    rest = fresh[at + 1 :] if at < len(fresh) and not fresh[at].name else fresh[at:]
    return [*fresh[:at], Segment("", f"{place.rstrip()}\n\n{own.strip()}\n\n"), *rest]


def part_differences(found, new):
    """How the generated parts of a card differ from what would be generated now.

    Args:
        found, new: bodies.

    Returns:
        list of sentences, [] when they agree; text of people doesn't count.
    """
    try:
        here = parts_of(found)
    except DataError as error:
        return [str(error)]
    wanted = parts_of(new)
    messages = [f"README.md: the part {name!r} is missing" for name in wanted if name not in here]
    messages += [f"README.md: the part {name!r} isn't made by this version" for name in here if name not in wanted]
    for name, text in wanted.items():
        if name in here and name not in KEPT_PARTS and here[name] != text:
            messages.append(f"README.md, part {name!r}: {_first_difference(here[name], text)}")
    return messages


def _first_difference(found, expected):
    ours, theirs = expected.splitlines(), found.splitlines()
    for line, pair in enumerate(zip(theirs, ours, strict=False), 1):
        if pair[0] != pair[1]:
            return f"line {line} is {_short(pair[0])}, expected {_short(pair[1])}"
    if len(theirs) == len(ours):
        return "its ends of lines differ"
    return f"it has {len(theirs)} lines, expected {len(ours)}"


def _short(line):
    return repr(line if len(line) <= 120 else line[:117] + "...")
