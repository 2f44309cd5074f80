"""What a server says against taking its pictures for training: headers of an answer. Pure.

`X-Robots-Tag` with noai, noimageai, noindex, noimageindex or none, as img2dataset honours it; `tdm-reservation: 1` of the TDM
Reservation Protocol (W3C community group report, 2024).
"""

import re

DIRECTIVES = ("noai", "noimageai", "noindex", "noimageindex", "none")
_AGENT = re.compile(r"\s*([\w.-]+)\s*:\s*(.*)", re.DOTALL)
_WITH_VALUES = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")  # directives, not agents


def refusal(headers, agent):
    """Why an answer's picture isn't taken.

    Args:
        headers: list of (name, value), a name as often as it was sent.
        agent: our product token; rules for other agents don't count.

    Returns:
        the reason, "" when there is none.
    """
    for name, value in headers:
        if name.lower() == "tdm-reservation" and value.strip() == "1":
            return "its owner reserves text and data mining (tdm-reservation: 1)"
        if name.lower() != "x-robots-tag":
            continue
        scope = _AGENT.fullmatch(value)
        if scope and scope[1].lower() not in _WITH_VALUES:
            if scope[1].lower() != agent.lower():
                continue
            value = scope[2]
        for directive in (part.strip().lower() for part in value.split(",")):
            if directive in DIRECTIVES:
                return f"its owner opts out (X-Robots-Tag: {directive})"
    return ""
