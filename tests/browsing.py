"""A headless Chromium for the tests of pages: Debian's packages `chromium` and `chromium-driver`, which `make browser` installs."""

import json
import shutil
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

# No sandbox, as tests may run as root; and nothing that Chromium would do on the network by itself.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip
WAIT_S = 10  # for what a page does in milliseconds, on a busy machine


class Browser:
    """Chromium with a new, empty profile.

    Args:
        profile: folder for it.
    """

    def __init__(self, profile):
        paths = [shutil.which("chromium"), shutil.which("chromedriver")]
        assert all(paths), "chromium or chromedriver is missing; `make browser` installs them"
        options = Options()
        options.binary_location = paths[0]
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(paths[1]))
        self.driver.set_script_timeout(2 * WAIT_S)

    def close(self):
        self.driver.quit()

    def look(self, width_px=1280, height_px=900, dark=False, phone=False):
        """Set window and colour scheme for the pages that are opened from now on."""
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})

    def open(self, path):
        """Open a file; what was logged before is forgotten."""
        self.logged(), self.requests()
        self.driver.get(path.resolve().as_uri())

    def run(self, script, *arguments):
        """What a piece of script gives; a promise is waited for."""
        wrapped = f"const done = arguments[arguments.length - 1]; Promise.resolve((async () => {{ {script} }}).apply(null, arguments))"
        answer = self.driver.execute_async_script(f"{wrapped}.then((v) => done([v]), (e) => done(String(e)));", *arguments)
        assert isinstance(answer, list), answer
        return answer[0]

    def wait(self, script, *arguments):
        """Wait until a piece of script gives something true; returns it."""
        return self.run(
            f"""const check = async (...given) => {{ {script} }};
            for (let i = 0; i < {WAIT_S * 50}; i++) {{
              const found = await check(...arguments);
              if (found) return found;
              await new Promise((go) => setTimeout(go, 20));
            }}
            throw new Error("this never became true: " + check);""",
            *arguments,
        )

    def becomes(self, script, wanted):
        """Wait until a piece of script gives what is wanted: pages answer keys a moment later."""
        until = time.monotonic() + WAIT_S
        while (found := self.run(script)) != wanted and time.monotonic() < until:
            time.sleep(0.02)
        assert found == wanted

    def press(self, *keys):
        """Press keys on what has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def point(self, x, y, kind="mouseMoved"):
        """Move the pointer to a place in the window [CSS pixels]."""
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y})

    def touch(self, x, y):
        """Tap a place in the window [CSS pixels]."""
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def logged(self):
        """Messages on the console since the last call: errors, warnings, refusals by the page's policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Addresses that were asked for since the last call, without those that are data themselves or that the page's policy stopped."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        of = {"Network.requestWillBeSent": [], "Network.loadingFailed": []}
        for message in messages:
            of.get(message["method"], []).append(message["params"])
        stopped = {facts["requestId"] for facts in of["Network.loadingFailed"] if facts.get("blockedReason") == "csp"}
        asked = [facts["request"]["url"] for facts in of["Network.requestWillBeSent"] if facts["requestId"] not in stopped]
        return [url for url in asked if not url.startswith("data:")]
