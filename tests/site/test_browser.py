"""A browser that fails, or hangs, is told in one line."""

import pytest

from simformer.analysis.site import browser as module
from simformer.analysis.site.browser import find_chromium, open_browser
from simformer.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _chromium():
    try:
        find_chromium()
    except UserError as error:
        pytest.skip(str(error))


def test_a_page_that_never_answers(monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 4.0)
    with pytest.raises(UserError, match="not done after"), open_browser() as browser:
        browser.new_page().evaluate("() => new Promise(() => null)")


@pytest.mark.slow
def test_a_page_that_hangs(monkeypatch):
    monkeypatch.setattr(module, "LONGEST", 4.0)
    with pytest.raises(UserError, match="not done after"), open_browser() as browser:
        browser.new_page().evaluate("() => { while (true); }")


def test_what_does_not_appear_in_time():
    with pytest.raises(UserError, match="Timeout 500ms exceeded"), open_browser() as browser:
        browser.new_page().wait_for_function("() => false", timeout=500)


def test_a_page_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="ERR_FILE_NOT_FOUND"), open_browser() as browser:
        browser.new_page().goto((tmp_path / "nothing.html").as_uri())


def test_a_program_that_is_no_browser(tmp_path, monkeypatch):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(module, "find_chromium", lambda: str(program))
    with pytest.raises(UserError, match=f"{program}: "), open_browser():
        pass
