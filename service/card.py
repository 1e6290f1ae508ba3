"""`/card`: the model card as a page, from the README.md in the model's folder.

Markdown alone is rendered: HTML in a card would be shown as text. Pictures are those of the same folder.
"""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from markdown_it import MarkdownIt
from starlette.responses import FileResponse

from service.browser import CARD
from service.deps import LoadedModel
from service.problems import not_there

FILE_NAME = "README.md"

router = APIRouter(include_in_schema=False)


@router.get(CARD)
async def card(request: Request, model: LoadedModel) -> Response:
    """Show the card."""
    file = model.folder / FILE_NAME
    if not file.is_file():
        raise not_there()
    html = as_html(file.read_text(encoding="utf-8"))
    content = request.app.state.pages.get_template("card.html").render(id=model.id, card=html)
    return Response(content, media_type="text/html")


@router.get(f"{CARD}/{{name}}")
async def picture(name: str, model: LoadedModel) -> Response:
    """Give a picture that the card shows."""
    known = {path.name: path for path in model.folder.glob("*.svg")}
    if name not in known:
        raise not_there()
    return FileResponse(known[name], media_type="image/svg+xml")


def address(folder: Path) -> str | None:
    """Return where the card of a model's folder is found, or None where it has none."""
    return CARD if (folder / FILE_NAME).is_file() else None


def as_html(markdown: str) -> str:
    """Return a card as HTML: its tables can be scrolled, also by keyboard, and its pictures are found."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    tables = 0
    for token in tokens:
        if token.type == "table_open":
            tables += 1
            token.meta["place"] = tables
        for child in token.children or ():
            source = str(child.attrs.get("src", ""))
            if child.type == "image" and "/" not in source:
                child.attrs["src"] = f"{CARD}/{source}"
    parser.add_render_rule("table_open", _open_table)
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    parser.add_render_rule("th_open", lambda *_: '<th scope="col">')
    # markdown-it aligns cells by an inline style, which the policy of the pages would not let through.
    parser.add_render_rule("td_open", lambda *_: "<td>")
    return str(parser.renderer.render(tokens, parser.options, {}))


def _open_table(renderer: Any, tokens: Any, place: int, *_: Any) -> str:
    number = tokens[place].meta["place"]
    return f'<div class="scroll" role="group" aria-label="Table {number}" tabindex="0"><table>\n'
