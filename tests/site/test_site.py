"""The gallery site in a real browser: every control, deep links, the keyboard, no request and no error."""

import socket
from types import SimpleNamespace

import numpy as np
import pytest

from simformer.analysis.site.browser import open_browser
from simformer.analysis.site.screenshots import wait_until_drawn
from tests.site.conftest import COUNT
from tests.synthetic_site import HEIGHT, WIDTH, prediction_of

PATIENCE = 120_000
"""Milliseconds: a busy machine is no failure."""

IDS = "() => data.layers.a ? Array.from(data.layers.a.ids) : []"
ASK = """address => {
  fetch(`${address}/a`).catch(() => {});
  new Image().src = `${address}/b.png`;
}"""
SIMILAR_COLUMN = """() => {
  const {width, height} = layers.side, at = layers.side.getContext('2d').getImageData(0, 0, width, height).data;
  return Array.from({length: width * height}, (_, i) => at[4 * i] > 200 ? i % width : -1).filter(x => x >= 0);
}"""


@pytest.fixture(scope="module")
def browser(page_path):
    with open_browser() as browser:
        yield browser


@pytest.fixture
def visit(browser, page_path):
    """Open an address in a new page that records errors and requests; both are checked at the end."""
    opened = []

    def open_page(address="", **options):
        tab = browser.new_page(**{"viewport": {"width": 1280, "height": 900}} | options)
        tab.set_default_timeout(PATIENCE)
        seen = SimpleNamespace(errors=[], requests=[])
        tab.on("console", lambda message: message.type in ("error", "warning") and seen.errors.append(message.text))
        tab.on("pageerror", lambda error: seen.errors.append(str(error)))
        tab.on("request", lambda request: seen.requests.append(request.url))
        tab.route("**/*", lambda route: route.continue_() if local(route.request.url) else route.abort())
        tab.goto(page_path.as_uri() + address)
        wait_until_drawn(tab)
        opened.append((tab, seen))
        return tab

    yield open_page
    for tab, seen in opened:
        tab.close()
        assert seen.errors == []
        assert len(seen.requests) > 5 and [url for url in seen.requests if not local(url)] == []


def local(url):
    return url.startswith(("file:", "data:"))


def state(tab, key):
    return tab.evaluate(f"() => state.{key}")


def test_opens_with_the_first_image_and_its_prediction(visit):
    tab = visit()
    assert tab.title() == "Toy gallery"
    assert tab.locator("#name").inner_text() == "image 0000"
    assert tab.locator(".item").count() == COUNT
    assert state(tab, "method") == "good"  # the one with a SimNet
    expected = prediction_of("good", 0)
    assert np.array_equal(np.array(tab.evaluate(IDS)).reshape(HEIGHT, WIDTH), expected)


def test_switching_the_method_changes_the_prediction_and_the_address(visit):
    tab = visit()
    tab.get_by_role("radio", name="Plain").click()
    wait_until_drawn(tab)
    assert np.array_equal(np.array(tab.evaluate(IDS)), prediction_of("plain", 0).ravel())
    assert "method=plain" in tab.url
    assert tab.get_by_role("radio", name="Plain").get_attribute("aria-checked") == "true"


def test_opacity_dims_the_overlay(visit):
    tab = visit()
    tab.get_by_label("Overlay").fill("20")
    assert tab.locator("#layer-a").evaluate("e => getComputedStyle(e).opacity") == "0.2"
    assert "opacity=20" in tab.url


def test_swiping_uncovers_the_second_prediction(visit):
    tab = visit("#toy/split1/image%200003?method=good&compare=plain")
    box = tab.locator("#main-frame").bounding_box()
    middle = box["y"] + box["height"] / 4
    tab.mouse.move(box["x"] + box["width"] / 2, middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 5, middle, steps=4)
    tab.mouse.up()
    assert state(tab, "swipe") == pytest.approx(20, abs=1)
    assert state(tab, "pixel") is None, "dragging the handle is no click on a pixel"
    clip = [tab.locator(f"#layer-{n}").evaluate("e => e.style.clipPath") for n in "ab"]
    assert clip[0].startswith("inset(0px 80%") and clip[1].endswith("20%)")


@pytest.mark.parametrize(("across", "column"), [(0.3, 2), (0.9, 7)])
def test_a_clicked_pixel_shows_its_similarities(visit, across, column):
    tab = visit("#toy/split1/image%200001")
    box = tab.locator("#main-frame").bounding_box()
    tab.mouse.click(box["x"] + across * box["width"], box["y"] + 0.6 * box["height"])
    wait_until_drawn(tab)
    assert state(tab, "side") == "similarity"
    assert tab.locator("#main-frame .pin").is_visible()
    found = tab.evaluate(SIMILAR_COLUMN)
    assert set(found) == {column} and len(found) == 6
    assert "pixel=" in tab.url
    assert "similarity to the chosen pixel: 1.00" in tab.locator("#readout").inner_text()


def test_a_deep_link_restores_what_was_seen(visit):
    address = "#toy/split1/image%200007?method=oracle&compare=plain&opacity=40&swipe=30&side=similarity&pixel=20,30"
    tab = visit(address)
    assert tab.locator("#name").inner_text() == "image 0007"
    assert tab.get_by_label("Overlay").input_value() == "40"
    assert state(tab, "pixel") == [20, 30]
    assert set(tab.evaluate(SIMILAR_COLUMN)) == {2}
    assert tab.url.endswith(address.replace("%20", "%20"))


def test_a_wrong_link_shows_something_sensible(visit):
    tab = visit("#nothing/here/x?method=unknown&opacity=abc&pixel=9999,3&class=unicorn&sort=gain")
    assert (state(tab, "image"), state(tab, "method"), state(tab, "opacity")) == ("image 0000", "good", 65)
    assert (state(tab, "pixel"), state(tab, "class"), state(tab, "sort")) == (None, "", "order")


def test_back_returns_to_the_image_before(visit):
    tab = visit()
    tab.locator(".item").nth(4).click()
    wait_until_drawn(tab)
    assert state(tab, "image") == "image 0004"
    tab.go_back()
    wait_until_drawn(tab)
    assert state(tab, "image") == "image 0000"


def test_filter_by_class(visit):
    tab = visit()
    tab.get_by_role("combobox", name="Class").select_option("sign")
    assert tab.locator(".item").count() == COUNT / 2
    assert tab.locator("#count").inner_text() == f"{COUNT // 2} of {COUNT} images"
    assert all(int(tab.locator(".item").nth(i).get_attribute("id")[-1]) % 2 == 1 for i in range(5))


def test_filter_and_order_by_iou(visit):
    tab = visit("#toy/split1?method=good&class=novel&sort=worst")
    values = [int(text) for text in tab.locator(".item span").all_inner_texts()]
    assert values == sorted(values) and values[0] < values[-1]
    assert state(tab, "image") == tab.locator(".item").first.get_attribute("aria-label").split(",")[0]
    tab.get_by_label("IoU at most").fill("50")
    kept = [int(text) for text in tab.locator(".item span").all_inner_texts()]
    assert kept == [value for value in values if value <= 50] and 0 < len(kept) < len(values)


def test_lead_over_another_method_orders_images(visit):
    tab = visit("#toy/split1?method=good&compare=oracle&sort=loss")
    assert tab.locator(".item").first.get_attribute("id")[-1] == "9", "moved farthest, so farthest behind"


def test_the_keyboard_reaches_everything(visit):
    tab = visit()
    for key, check in [
        ("j", lambda: state(tab, "image") == "image 0001"),
        ("ArrowRight", lambda: state(tab, "image") == "image 0002"),
        ("k", lambda: state(tab, "image") == "image 0001"),
        ("1", lambda: state(tab, "method") == "plain"),
        ("Shift+Digit3", lambda: state(tab, "compare") == "oracle"),
        ("x", lambda: (state(tab, "method"), state(tab, "compare")) == ("oracle", "plain")),
        ("[", lambda: state(tab, "opacity") == 55),
        ("o", lambda: state(tab, "opacity") == 0),
        (".", lambda: state(tab, "swipe") == 55),
        ("e", lambda: state(tab, "side") == "errors"),
        ("?", lambda: tab.locator("#help").is_visible()),
        ("Escape", lambda: not tab.locator("#help").is_visible()),
    ]:
        tab.keyboard.press(key)
        assert check(), key
        wait_until_drawn(tab)


def test_a_pixel_is_chosen_and_moved_without_a_mouse(visit):
    tab = visit()
    tab.keyboard.press("Tab")
    assert tab.evaluate("() => document.activeElement.id") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("() => document.activeElement.id") == "main-frame"
    tab.keyboard.press("Enter")
    assert state(tab, "pixel") == [WIDTH // 2, HEIGHT // 2]
    tab.keyboard.press("ArrowLeft")
    assert state(tab, "pixel") == [WIDTH // 2 - 3, HEIGHT // 2]
    tab.keyboard.press("Escape")
    assert state(tab, "pixel") is None


def test_the_list_moves_by_rows_and_keeps_one_tab_stop(visit):
    tab = visit()
    tab.locator(".item").first.focus()
    tab.keyboard.press("ArrowDown")
    assert state(tab, "image") == "image 0003"
    assert tab.evaluate("() => document.activeElement.id") == "image-3"
    assert tab.locator('.item[tabindex="0"]').count() == 1


def test_one_class_is_shown_alone_and_keeps_the_focus(visit):
    tab = visit()
    button = tab.locator("#classes").get_by_role("button", name="cow")
    button.focus()
    tab.keyboard.press("Enter")
    assert state(tab, "only") == "cow" and button.get_attribute("aria-pressed") == "true"
    assert tab.evaluate("() => document.activeElement.dataset.class") == "cow"


def test_every_control_has_a_name(visit):
    tab = visit("#toy/split1/image%200000?compare=plain")
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll('button, select, input, [tabindex], [role]')].filter(e =>
        e.getClientRects().length && !e.getAttribute('aria-label') && !e.labels?.length && !e.textContent.trim()
        ).map(e => e.outerHTML)"""
    )
    assert [html for html in nameless if "problem" not in html] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(visit, scheme):
    tab = visit("#toy/split1/image%200000?compare=plain", color_scheme=scheme)
    pairs = tab.evaluate(
        """() => ['#readout', '#count', '.card .facts', '.novel', '#caption-b', '#classes button', 'kbd'].map(name => {
        const e = document.querySelector(name), rgb = text => text.match(/[\\d.]+/g).map(Number);
        let under = e;
        while (rgb(getComputedStyle(under).backgroundColor)[3] === 0) under = under.parentElement;
        return [name, rgb(getComputedStyle(e).color).slice(0, 3), rgb(getComputedStyle(under).backgroundColor)];
        })"""
    )
    for name, text, ground in pairs:
        assert contrast(text, ground[:3]) >= 4.5, name


def contrast(a, b):
    """Contrast of WCAG 2."""
    bright = sorted(np.dot([0.2126, 0.7152, 0.0722], [linear(c / 255) for c in colour]) for colour in (a, b))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


def linear(value):
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def test_nothing_moves_when_motion_is_unwelcome(visit):
    tab = visit(reduced_motion="reduce")
    assert tab.locator(".card").first.evaluate("e => getComputedStyle(e).transitionDuration") == "0s"


def test_a_narrow_page_does_not_scroll_sideways(visit):
    tab = visit("#toy/split1/image%200000?compare=plain", viewport={"width": 390, "height": 800})
    assert tab.evaluate("() => document.documentElement.scrollWidth") == 390


def test_a_missing_file_is_told(browser, page_path):
    """The recording of errors can fail: this page has one."""
    hidden = page_path.parent / "toy/split1/plain/seed0/maps/image 0005.js"
    content = hidden.read_bytes()
    hidden.unlink()
    tab = browser.new_page()
    try:
        tab.goto(page_path.as_uri() + "#toy/split1/image%200005?method=plain")
        tab.wait_for_function("() => !document.getElementById('problem').hidden")
        assert "maps/image%200005.js is missing" in tab.locator("#problem").inner_text()
    finally:
        hidden.write_bytes(content)
        tab.close()


def test_the_page_cannot_reach_the_network(browser, page_path):
    """Its own policy forbids it, so that no later change can add a request unseen."""
    tab = browser.new_page()
    tab.goto(page_path.as_uri())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        tab.evaluate(ASK, address)
        with pytest.raises(TimeoutError):
            server.accept()
        tab.goto("about:blank")  # the control: a page without the policy does arrive
        tab.evaluate(ASK, address)
        server.accept()[0].close()
    tab.close()
