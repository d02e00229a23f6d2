"""What a browser says it is, in words by which its owner knows it again; nothing is believed of it."""

from __future__ import annotations

# The first that is named wins: most say that they are Safari or Chrome as well.
BROWSERS = {
    "MicroMessenger": "WeChat",
    "AlipayClient": "Alipay",
    "HuaweiBrowser": "Huawei Browser",
    "MiuiBrowser": "Mi Browser",
    "QQBrowser": "QQ Browser",
    "UCBrowser": "UC Browser",
    "SamsungBrowser": "Samsung Internet",
    "Edg": "Edge",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
SYSTEMS = {
    "HarmonyOS": "HarmonyOS",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Macintosh": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
LONGEST = 80


def name_of(user_agent: str) -> str:
    """`Chrome · Android` for the User-Agent header of one; "" when it names nothing that people know."""
    named = (_first(BROWSERS, user_agent), _first(SYSTEMS, user_agent))
    return " · ".join(filter(None, named))[:LONGEST]


def _first(names: dict[str, str], user_agent: str) -> str:
    return next((name for mark, name in names.items() if mark in user_agent), "")
