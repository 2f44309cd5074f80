"""`fgbg-depth preview`: a set as one HTML page that needs no network.

| module | one idea |
| --- | --- |
| `sample` | which row groups are read, and which of their rows are shown; pure |
| `contents` | what the page says of the set: read from a folder or from the Hub, no more than is needed |
| `pictures` | stored pictures as the page takes them, checked |
| `page` | the HTML: template, style, script and data in one file |

`page.html`, `page.css` and the scripts beside them are the page itself.
"""
