"""The book in a headless Chromium: every page loads, shows all it has, leads somewhere and asks nobody.

usage: book.py BOOK [SCREENSHOTS]

Run by workbook/tests/book.rs; needs workbook/tests/requirements.txt and Chromium. SCREENSHOTS is a folder for pictures of some pages, wide and
narrow, light and dark.
"""

import pathlib
import shutil
import sys
import urllib.parse

from playwright.sync_api import sync_playwright

book = pathlib.Path(sys.argv[1])
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

# What a reader would not see: elements without size, and whatever is wider than the page.
MEASURE = """() => {
    document.querySelectorAll("details").forEach(d => d.open = true);
    const shown = e => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0; };
    const main = document.querySelector("main");
    return {
        formulas: main.querySelectorAll("math").length,
        pictures: main.querySelectorAll("img").length,
        checks: main.querySelectorAll(".check").length,
        unseen: [...main.querySelectorAll("math, .check, pre, table")].filter(e => !shown(e)).map(e => e.outerHTML.slice(0, 200)),
        errors: [...main.querySelectorAll("merror")].map(e => e.outerHTML.slice(0, 200)),
        unloaded: [...main.querySelectorAll("img")].filter(e => !(e.complete && e.naturalWidth > 0 && shown(e))).map(e => e.src),
        nameless: [...main.querySelectorAll("img")].filter(e => !e.alt).map(e => e.src),
        links: [...document.querySelectorAll("a[href]")].map(a => a.href),
        ids: [...document.querySelectorAll("[id]")].map(e => e.id),
        wide: document.documentElement.scrollWidth - window.innerWidth,
        font: document.fonts.check("16px 'Latin Modern Math'"),
        dollars: [...main.querySelectorAll("p, li, td, th, h1, h2, h3")].filter(e => e.textContent.includes("$")).map(e => e.textContent.slice(0, 120)),
    };
}"""


def watch(page):
    """Collects what goes wrong while a page is open."""
    wrong = []
    page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
    page.on("requestfailed", lambda r: wrong.append(f"failed: {r.url}"))
    page.on("request", lambda r: wrong.append(f"outside: {r.url}") if not r.url.startswith(("file:", "data:")) else None)
    return wrong


def test_pages(context):
    page = context.new_page()
    wrong = watch(page)
    links, ids, formulas, pictures, checks = {}, {}, 0, 0, 0
    # toc.html is the list of pages for browsers without scripts.
    for file in sorted(set(book.glob("*.html")) - {book / "toc.html"}):
        page.set_viewport_size(WIDE)
        page.goto(file.as_uri(), wait_until="load")
        seen = page.evaluate(MEASURE)
        for what in ("unseen", "errors", "unloaded", "nameless", "dollars"):
            assert not seen[what], f"{file.name}, {what}: {seen[what][:3]}"
        assert seen["font"] or not seen["formulas"], f"{file.name}: the font of the formulas is not there"
        if file.name != "print.html":
            page.set_viewport_size(NARROW)
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{file.name} is {wide} pixels wider than a phone"
            formulas, pictures, checks = formulas + seen["formulas"], pictures + seen["pictures"], checks + seen["checks"]
        links[file.name], ids[file.name] = seen["links"], set(seen["ids"])
    assert not wrong, "\n".join(wrong[:10])
    assert formulas > 1000 and pictures > 50 and checks > 100, (formulas, pictures, checks)
    for name, targets in links.items():
        for target in targets:
            url = urllib.parse.urlparse(target)
            if url.scheme != "file":
                continue
            file, place = pathlib.Path(urllib.parse.unquote(url.path)), urllib.parse.unquote(url.fragment)
            assert file.is_file(), f"{name} leads to {target}, which is not there"
            assert not place or place in ids.get(file.name, {place}), f"{name} leads to {target}; the page has no such place"
    print(f"{len(links)} pages show {formulas} formulas, {pictures} pictures and {checks} checks; {sum(map(len, links.values()))} links")


def test_search(context):
    page = context.new_page()
    wrong = watch(page)
    page.goto((book / "index.html").as_uri())
    page.keyboard.press("s")
    page.locator("#mdbook-searchbar").press_sequentially("Pinsker")
    result = page.locator("#mdbook-searchresults a").first
    result.wait_for(timeout=20000)
    name = result.inner_text()
    result.click()
    page.wait_for_load_state("load")
    assert "Pinsker" in page.inner_text("main"), page.url
    assert not wrong, wrong
    print(f"a search for Pinsker leads to {name!r}")


def test_themes(context, pictures):
    page = context.new_page()
    names = ["index", "checks", "notation", "claims", "errata", "data", "04-multivariate-normal", "11-kl-inequalities", "14-evidence-lower-bound"]
    for theme in ("light", "navy"):
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            page.set_viewport_size(size)
            for name in names:
                page.goto((book / f"{name}.html").as_uri())
                page.evaluate(f"localStorage.setItem('mdbook-theme', '{theme}')")
                page.reload()
                assert theme in page.get_attribute("html", "class").split()
                background, text = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
                assert background != text
                if pictures:
                    page.screenshot(path=pathlib.Path(pictures) / f"{name}-{theme}-{width}.png", full_page=width == "wide")
    print("light and dark, wide and narrow")


with sync_playwright() as playwright:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    # A page read from a disk has no network, and the test has none to offer.
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    context = browser.new_context(offline=True)
    test_pages(context)
    test_search(context)
    test_themes(context, sys.argv[2] if len(sys.argv) > 2 else None)
    browser.close()
