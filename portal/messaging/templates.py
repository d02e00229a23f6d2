"""The texts themselves: one UCS-2 segment each, no link, no name."""

from __future__ import annotations

from typing import Any

SEGMENT = 70  # characters of one UCS-2 message (3GPP TS 23.038)

TEXTS = {
    "code": {
        "zh-hans": "验证码 {code}，10 分钟内有效。谁问都别说，客服也不会问。",
        "en": "Code {code}, valid 10 minutes. Tell nobody: support never asks.",
    },
    "sign-in": {
        "zh-hans": "登录验证码 {code}，10 分钟内有效。谁问都别说，客服也不会问。",
        "en": "Sign-in code {code}, valid 10 min. Tell nobody, not even support.",
    },
    "choosing": {
        "zh-hans": "终端 {terminal} 正请操作员 {operator} 设新密码。不是您要的？打 {hotline}",
        "en": "Till {terminal}: operator {operator} sets a password. Not you? {hotline}",
    },
    "unlocking": {
        "zh-hans": "终端 {terminal} 操作员 {operator} 的离线解锁码已给出。不是您要的？打 {hotline}",
        "en": "Till {terminal}: unlock code shown for {operator}. Not you? {hotline}",
    },
    "applied": {
        "zh-hans": "终端 {terminal} 操作员 {operator} 的密码已更换。不是您要的？打 {hotline}",
        "en": "Password changed: operator {operator}, till {terminal}. Not you? {hotline}",
    },
}


def render(template: str, locale: str, **values: Any) -> str:
    """The text of a template in a locale; English for locales that have none of their own."""
    texts = TEXTS[template]
    return texts.get(locale, texts["en"]).format(**values)
