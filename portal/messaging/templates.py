"""The words themselves: texts of one UCS-2 segment each, calls and mails; no link, no name."""

from __future__ import annotations

from typing import Any

SEGMENT = 70  # characters of one UCS-2 message (3GPP TS 23.038)

TEXTS = {
    "code": {
        "zh-hans": "验证码 {code}，10 分钟内有效。谁问都别说，客服也不会问。",
        "en": "Code {code}, valid 10 minutes. Tell nobody: support never asks.",
    },
    "help-code": {
        "zh-hans": "验证码 {code}，店主重置密码要用。只告诉您认识的店主本人，10 分钟内有效。",
        "en": "Code {code} for a shop owner you know: tell only them. 10 min.",
    },
    "sign-in": {
        "zh-hans": "登录验证码 {code}，10 分钟内有效。谁问都别说，客服也不会问。",
        "en": "Sign-in code {code}, valid 10 min. Tell nobody, not even support.",
    },
    "new-browser": {
        "zh-hans": "您的 Rekey 账户刚在一个新的浏览器登录。不是您？打 {hotline}",
        "en": "Your Rekey account was used in a new browser. Not you? {hotline}",
    },
    "factor-added": {
        "zh-hans": "您的 Rekey 账户新增了一种登录方式。不是您加的？打 {hotline}",
        "en": "Your Rekey account has a new way to sign in. Not you? {hotline}",
    },
    "factor-removed": {
        "zh-hans": "您的 Rekey 账户少了一种登录方式。不是您删的？打 {hotline}",
        "en": "A way to sign in to Rekey was removed. Not you? {hotline}",
    },
    "test": {
        "zh-hans": "这是一条测试短信，收到就好，不用回复，也不用做什么。",
        "en": "This is a test message. You need not do or answer anything.",
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
    "way-code": {
        "zh-hans": "验证码 {code}，10 分钟内有效，用来登记联系方式。谁问都别说，客服也不会问。",
        "en": "Code {code} registers this contact. Valid 10 minutes. Tell nobody.",
    },
    "contact-code": {
        "zh-hans": "有家店想请您做紧急联系人。愿意就把 {code} 告诉店主，10 分钟内有效。",
        "en": "A shop asks you to be its contact: tell its owner {code} in 10 min.",
    },
    "stopped": {
        "zh-hans": "有人报告“不是我”：未生效的已撤回，自助重置停用 1 小时。{hotline}",
        "en": "Reported as not you: no resets for 1 hour. Call {hotline}",
    },
    "way-registered": {
        "zh-hans": "这里已登记为一家店的联系方式，72 小时后全部生效。不对？打 {hotline}",
        "en": "Registered as a shop's contact, full in 72 h. Wrong? {hotline}",
    },
    "phone-changed": {
        "zh-hans": "注册手机已换成尾号 {tail}。不是您？打 {hotline} 报 {number}",
        "en": "Shop phone now ends {tail}. Not you? {hotline}, quote {number}",
    },
    "way-added": {
        "zh-hans": "您的店新增了一个联系方式。不是您？打 {hotline} 报 {number}",
        "en": "Your shop has a new contact. Not you? {hotline}, quote {number}",
    },
    "way-changed": {
        "zh-hans": "您的店换了一个联系方式。不是您？打 {hotline} 报 {number}",
        "en": "A contact of your shop changed. Not you? {hotline}, say {number}",
    },
    "way-removed": {
        "zh-hans": "您的店删掉了一个联系方式。不是您？打 {hotline}",
        "en": "A contact of your shop was removed. Not you? {hotline}",
    },
    "change-stopped": {
        "zh-hans": "联系方式的改动已经撤销，一切照旧。有疑问打 {hotline}",
        "en": "The change of contacts was undone. Questions? {hotline}",
    },
    "paper-made": {
        "zh-hans": "新的恢复码卡已制成，旧卡作废。不是您？打 {hotline}",
        "en": "New recovery codes were made; the old are void. Not you? {hotline}",
    },
    "paper-used": {
        "zh-hans": "刚用掉一个纸上恢复码，还剩 {left} 个。不是您？打 {hotline}",
        "en": "A paper recovery code was used; {left} left. Not you? {hotline}",
    },
}


def render(template: str, locale: str, **values: Any) -> str:
    """The text of a template in a locale; English for locales that have none of their own."""
    texts = TEXTS[template]
    return texts.get(locale, texts["en"]).format(**values)


# What a call says, whatever the code is for; the digits are spoken one by one.
CALL = {
    "zh-hans": "您的验证码是：{digits}。十分钟内有效。谁问都别说，客服也不会问。",
    "en": "Your code is: {digits}. It is valid for ten minutes. Tell nobody. Support never asks for it.",
}
COMMA = {"zh-hans": "，", "en": ", "}


def speak(locale: str, code: str) -> str:
    """What a call says to carry a code."""
    known = locale if locale in CALL else "en"
    return CALL[known].format(digits=COMMA[known].join(code))


SUBJECTS = {
    "code": {"zh-hans": "您的验证码", "en": "Your code"},
    "sign-in": {"zh-hans": "您的登录验证码", "en": "Your sign-in code"},
}
NOTICE = {"zh-hans": "关于您终端的通知", "en": "About your tills"}
CLOSING = {
    "zh-hans": "这封信由系统发出，没有链接，也不能回复。不是您要的？打 {hotline}",
    "en": "Sent by a machine, without any link; replies are not read. Not you? Call {hotline}",
}


def subject_of(template: str, locale: str) -> str:
    """The subject of a mail; every template has one."""
    subjects = SUBJECTS.get(template, NOTICE)
    return subjects.get(locale, subjects["en"])


def write_mail(template: str, locale: str, hotline: str, **values: Any) -> str:
    """The body of a mail: the words of the text, and how to tell that it is from us."""
    closing = CLOSING.get(locale, CLOSING["en"]).format(hotline=hotline)
    return f"{render(template, locale, hotline=hotline, **values)}\n\n{closing}\n"
