#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""browser.py - a page in headless Chromium, asked by scripts: WebDriver's few calls that are needed.

browser.py URL WIDTH HEIGHT: reads lines from stdin and answers each with one line.
    EXPRESSION         of JavaScript: its value as JSON
    wait S EXPRESSION  until it is true, S seconds at most: true or false
    picture FILE       a screenshot: true
    size WIDTH HEIGHT  of the page's window: true
    scheme NAME        light or dark is what its user likes: true
Source: W3C WebDriver; the Chrome DevTools Protocol, domain Emulation.
"""
import base64
import json
import subprocess
import sys
import time
import urllib.request


class Browser:
    """A Chromium behind a chromedriver of its own; both end with it."""

    def __init__(self, width, height):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.at = "http://127.0.0.1:" + line.split()[-1].rstrip(".")
                break
        options = {"args": ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                            f"--window-size={width},{height}"]}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options}}})
        self.at += "/session/" + answer["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.at + path, data, method=method,
                                         headers={"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=60))["value"]

    def value(self, expression):
        return self.call("POST", "/execute/sync", {"script": f"return ({expression});", "args": []})

    def emulate(self, what, parameters):
        self.call("POST", "/goog/cdp/execute", {"cmd": f"Emulation.{what}", "params": parameters})

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


def answer(browser, line):
    word, _, rest = line.partition(" ")
    if word == "picture":
        with open(rest, "wb") as f:
            f.write(base64.b64decode(browser.call("GET", "/screenshot")))
        return True
    if word == "size":
        width, height = map(int, rest.split())
        browser.emulate("setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1,
                                                     "mobile": False})
        return True
    if word == "scheme":
        browser.emulate("setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": rest}]})
        return True
    if word == "wait":
        seconds, _, expression = rest.partition(" ")
        end = time.monotonic() + float(seconds)
        while not (holds := bool(browser.value(expression))) and time.monotonic() < end:
            time.sleep(0.1)
        return holds
    return browser.value(line)


def main():
    browser = Browser(sys.argv[2], sys.argv[3])
    try:
        browser.call("POST", "/url", {"url": sys.argv[1]})
        for line in sys.stdin:
            print(json.dumps(answer(browser, line.strip())), flush=True)
    finally:
        browser.close()


main()
