"""The model card is a page like the others: safe, and found from where the model is named."""

import copy
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from classifier import Model, load
from service.app import create_app
from service.browser import SECURITY_HEADERS
from service.card import as_html
from service.settings import Settings
from tests.service.test_page import check

CARD = """# Model card: <b>tiny</b>

Seldom right.

![How often.](reliability.svg)

## Figures

| tag | F1 |
| --- | ---: |
| drones | 0.9 |

| tag | missed |
| --- | --- |
| drones | <script>alert(1)</script> [here](javascript:alert(1)) |
"""


@pytest.fixture(scope="module")
def told(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service whose model has a card with a picture."""
    folder = tmp_path_factory.mktemp("card")
    (folder / "README.md").write_text(CARD)
    (folder / "reliability.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "model.json").write_text("{}")
    carded = copy.copy(model)
    carded.folder = folder
    with TestClient(create_app(Settings(data_dir=tmp_path_factory.mktemp("data")), carded)) as client:
        yield client


def test_the_card_is_found_from_the_page_and_from_the_model(told: TestClient) -> None:
    address = told.get("/v1/models/current").json()["card"]
    assert f'href="{address}"' in told.get("/").text
    answer = told.get(address)
    assert answer.headers["content-type"].startswith("text/html")
    assert "Seldom right." in answer.text
    assert all(answer.headers[name] == value for name, value in SECURITY_HEADERS.items())


def test_it_is_well_formed_and_nothing_in_it_acts_as_anything_but_text(told: TestClient) -> None:
    page = told.get("/card").text
    check(page)
    assert "&lt;script&gt;" in page
    assert 'href="javascript:' not in page
    assert page.count('role="group" aria-label="Table ') == 2


def test_its_pictures_come_with_it_and_no_other_file(told: TestClient) -> None:
    assert '<img src="/card/reliability.svg" alt="How often." />' in told.get("/card").text
    picture = told.get("/card/reliability.svg")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert all(picture.headers[name] == value for name, value in SECURITY_HEADERS.items())
    for path in ("/card/model.json", "/card/README.md", "/card/..%2Fmodel.json", "/card/none.svg"):
        assert told.get(path).status_code == 404


def test_a_model_without_a_card_says_so(client: TestClient) -> None:
    assert client.get("/v1/models/current").json()["card"] is None
    assert "/card" not in client.get("/").text
    assert client.get("/card").status_code == 404


@pytest.mark.parametrize("name", ["fast", "careful"])
def test_the_cards_of_the_shipped_models_are_well_formed(name: str) -> None:
    markdown = (load(name).folder / "README.md").read_text(encoding="utf-8")
    html = as_html(markdown)
    check(html)
    assert html.count("<table>") == html.count("</table></div>") > 5
    assert "| --- |" not in html
