"""The page in a real Chromium: by keyboard, without script, narrow and wide, dark and light, within its own policy."""

import copy
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from classifier import load
from service.app import create_app
from service.settings import Settings

pytestmark = pytest.mark.heavy

WIDTHS = (400, 1400)
SCHEMES = ("light", "dark")
TITLE = "A quadrotor for crowds"

# Every text that is shown, with the contrast between it and what lies behind it.
_CONTRASTS = """
const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parse = text => text.match(/[0-9.]+/g).map(Number);
const behind = element => {
  for (; element; element = element.parentElement) {
    const colour = parse(getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
  found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walker.currentNode.data.trim()]);
}
return found;
"""


@pytest.fixture(scope="module")
def url(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = copy.copy(load(model_folder))
    model.folder = load("careful").folder  # for its card, the longest page that there is
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("data")), model)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options, ChromeService(shutil.which("chromedriver")))
    yield chrome
    chrome.quit()


def show(browser: Chrome, url: str, width: int = 1400, scheme: str = "light", script: bool = True) -> None:
    size: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
    browser.get(url)
    browser.get_log("browser")


def outcome(browser: Chrome) -> str:
    return WebDriverWait(browser, 180).until(lambda chrome: chrome.find_element(By.ID, "outcome")).text


def judge(browser: Chrome, title: str = TITLE) -> str:
    browser.find_element(By.ID, "title").send_keys(title, Keys.ENTER)
    return outcome(browser)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_or_hard_to_read(browser: Chrome, url: str, width: int, scheme: str) -> None:
    for step in ("form", "result"):
        if step == "form":
            show(browser, url, width, scheme)
        else:
            assert judge(browser).startswith("Flagged: drones")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        contrasts = browser.execute_script(_CONTRASTS)
        assert len(contrasts) > 10
        assert [text for ratio, text in contrasts if ratio < 4.5] == []
        assert browser.get_log("browser") == [], "the page breaks its own policy, or misses a file"


# Each text leads to a page of another look: one with flags, one for review only, one without any, one abstained from.
OUTCOMES = {
    "Flagged": TITLE,
    "To review": "crowd mint mint mint",
    "Nothing flagged": "Mint, mint, mint, mint, mint, mint, mint, mint and mint",
    "Not judged": "Die Drohne landet auf dem Schiff und das Wetter ist heute sehr schlecht, weil es regnet.",
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_that_shuts_anybody_out(browser: Chrome, url: str, width: int, scheme: str) -> None:
    axe = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")

    def violations() -> list[str]:
        browser.execute_script(axe)
        found = browser.execute_async_script("axe.run(document).then(arguments[0])")
        assert len(found["passes"]) > 10, "axe looked at next to nothing"
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]

    show(browser, url, width, scheme)
    assert violations() == []
    for outcome_, title in OUTCOMES.items():
        show(browser, url, width, scheme)
        assert judge(browser, title).startswith(outcome_)
        for details in browser.find_elements(By.TAG_NAME, "details"):
            browser.execute_script("arguments[0].open = true", details)
        assert violations() == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    show(browser, f"{url}/card", width, scheme)
    assert browser.find_element(By.TAG_NAME, "h1").text.startswith("Model card")
    assert violations() == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == [], "the card breaks the page's policy, or misses a picture"


def test_what_is_for_review_and_what_is_not_judged_look_otherwise_than_a_flag(browser: Chrome, url: str) -> None:
    looks = {}
    for outcome_, title in OUTCOMES.items():
        show(browser, url)
        assert judge(browser, title).startswith(outcome_)
        row = browser.find_element(By.CSS_SELECTOR, ".tags tbody tr")
        decision = row.find_element(By.CSS_SELECTOR, ".decision")
        looks[outcome_] = (
            decision.text,
            decision.value_of_css_property("color"),
            row.find_element(By.CSS_SELECTOR, ".meter .value").value_of_css_property("fill"),
        )
    assert [text for text, *_ in looks.values()] == ["flag", "review", "clear", "abstain"]
    assert len({look[1:] for look in looks.values()}) == 3, "only what is clear and what is abstained from look alike"
    assert not browser.find_elements(By.TAG_NAME, "mark"), "words are marked in a text that was not judged"


def test_it_can_be_used_by_keyboard_and_the_outcome_takes_the_focus(browser: Chrome, url: str) -> None:
    show(browser, url)
    reached = []
    for _ in range(9):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        element = browser.switch_to.active_element
        reached.append(element.get_attribute("id") or element.text)
        outline = element.value_of_css_property("outline-style")
        assert outline != "none", f"the focus on {reached[-1]} cannot be seen"
    assert reached[0] == "Skip to the form"
    assert reached[2:8] == ["title", "abstract", "text-profile", "Judge the text", "file", "file-profile"]
    judge(browser)
    assert browser.switch_to.active_element.get_attribute("id") == "outcome"
    assert browser.title.startswith("Flagged: drones")


def test_it_works_without_script(browser: Chrome, url: str, tmp_path: Path) -> None:
    show(browser, url, script=False)
    assert judge(browser).startswith("Flagged: drones")
    assert browser.find_element(By.CSS_SELECTOR, ".title mark").text.startswith("quadrotor")
    file = tmp_path / "papers.csv"
    file.write_text("title\nA quadrotor\nMint\n")
    browser.find_element(By.ID, "file").send_keys(str(file))
    browser.find_element(By.CSS_SELECTOR, "form.file button").click()
    WebDriverWait(browser, 180).until(lambda chrome: "records" in chrome.title)
    assert outcome(browser) == "1 of 2 records flagged"


def test_a_text_with_script_in_it_runs_nothing(browser: Chrome, url: str) -> None:
    show(browser, url)
    judge(browser, "quadrotor <script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">")
    assert browser.title.startswith("Flagged")
    assert browser.get_log("browser") == []
