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
    "desk-code": {
        "zh-hans": "客服核实用验证码 {code}：自己填在网页上，别念给任何人。10 分钟内有效。",
        "en": "Code {code}: type it on our page, read it to nobody. 10 minutes.",
    },
    "answered": {
        "zh-hans": "工单 {number} 有新回复：打开网页点“联系客服”来看。客服不问密码和验证码。",
        "en": "Ticket {number}: support answered. Read it online. {hotline}",
    },
    "desk-reset": {
        "zh-hans": "客服应来电重置 {terminal} 操作员 {operator}。不是您？网页填 {number} 或打 {hotline}",
        "en": "Support resets {operator} on {terminal}. Not you? {number} or {hotline}",
    },
    "sign-in": {
        "zh-hans": "登录验证码 {code}，10 分钟内有效。谁问都别说，客服也不会问。",
        "en": "Sign-in code {code}, valid 10 min. Tell nobody, not even support.",
    },
    "join-code": {
        "zh-hans": "开户验证码 {code}，10 分钟内有效。谁问都别说，客服也不会问。",
        "en": "Code {code} opens an account of your shop. Tell nobody. 10 min.",
    },
    "account-code": {
        "zh-hans": "验证码 {code}，用来重设 Rekey 账户，10 分钟内有效。谁问都别说。",
        "en": "Code {code} resets your Rekey account. Tell nobody. 10 minutes.",
    },
    "invited": {
        "zh-hans": "客服为您的店开了一份账户邀请。不是您要的？打 {hotline}",
        "en": "Support has invited your shop to an account. Not you? {hotline}",
    },
    "joined": {
        "zh-hans": "您的店新开了一个 Rekey 账户。不是您办的？打 {hotline}",
        "en": "Your shop has a new Rekey account. Not you? {hotline}",
    },
    "password-reset": {
        "zh-hans": "一家店的 Rekey 账户刚重设了密码。不是店主办的？打 {hotline}",
        "en": "A shop's Rekey password was reset. Not its owner? {hotline}",
    },
    "factors-lost": {
        "zh-hans": "一家店的 Rekey 账户移除了全部登录设备。不是店主办的？打 {hotline}",
        "en": "A Rekey account lost its second factor. Not its owner? {hotline}",
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
        "zh-hans": "{terminal} 正请 {operator} 设密码。不是您？网页点“不是我”填 {number}，或打 {hotline}",
        "en": "{terminal}: {operator} sets a password. Not you? {number} or {hotline}",
    },
    "unlocking": {
        "zh-hans": "{terminal} 的 {operator} 已离线解锁。不是您？网页点“不是我”填 {number}，或打 {hotline}",
        "en": "{terminal}: unlocked for {operator}. Not you? {number} or {hotline}",
    },
    "applied": {
        "zh-hans": "{terminal} 操作员 {operator} 密码已换。不是您？网页点“不是我”填 {number}，或打 {hotline}",
        "en": "{terminal}: {operator} has a new password. Not you? {number} or {hotline}",
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
        "zh-hans": "注册手机已换成尾号 {tail}。不是您？网页点“不是我”填 {number}，或打 {hotline}",
        "en": "Shop phone ends {tail}. Not you? {number} online or {hotline}",
    },
    "way-added": {
        "zh-hans": "您的店新增了一个联系方式。不是您？网页点“不是我”填 {number}，或打 {hotline}",
        "en": "New contact at your shop. Not you? {number} online or {hotline}",
    },
    "way-changed": {
        "zh-hans": "您的店换了一个联系方式。不是您？网页点“不是我”填 {number}，或打 {hotline}",
        "en": "Shop contact changed. Not you? {number} online or {hotline}",
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
    "case-due": {
        "zh-hans": "客服工单快到时限：{count} 件，最早的是 {number}。请登录客服台处理。",
        "en": "Cases due soon: {count}. The first is {number}. See the support desk.",
    },
    "case-late": {
        "zh-hans": "客服工单已过时限：{count} 件，最早的是 {number}。请登录客服台处理。",
        "en": "Cases past due: {count}. The first is {number}. See the desk.",
    },
    "case-urgent": {
        "zh-hans": "值班提醒：下班后来了 {count} 件紧急工单，先看 {number}。请登录客服台。",
        "en": "On duty: {count} urgent cases came in. First {number}. See the desk.",
    },
    "confirm-due": {
        "zh-hans": "请登录 Rekey 确认手机和联系方式还是您的，要用时才靠得住。疑问打 {hotline}",
        "en": "Sign in to Rekey and confirm your phone and contacts. {hotline}",
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
    "account-code": {"zh-hans": "重设账户的验证码", "en": "Your code to reset the account"},
}
NOTICE = {"zh-hans": "关于您终端的通知", "en": "About your tills"}
CLOSING = {
    "zh-hans": "这封信由系统发出，没有链接，也不能回复。不是您要的？打 {hotline}",
    "en": "Sent by a machine, without any link; replies are not read. Not you? Call {hotline}",
}

UNDO = {
    "zh-hans": "不是您？打开这一页，点一下就撤销，72 小时内有效：\n{undo}",
    "en": "Not you? One tap on this page undoes it, within 72 hours:\n{undo}",
}
CLOSING_WITH = {
    "zh-hans": "这封信由系统发出，不能回复。那一页不问密码，也不问验证码。有疑问打 {hotline}",
    "en": "Sent by a machine; replies are not read. That page asks for no code. Doubts? {hotline}",
}


def subject_of(template: str, locale: str) -> str:
    """The subject of a mail; every template has one."""
    subjects = SUBJECTS.get(template, NOTICE)
    return subjects.get(locale, subjects["en"])


def write_mail(template: str, locale: str, hotline: str, *, undo: str = "", **values: Any) -> str:
    """The body of a mail: the words of the text, and how to tell that it is from us.

    `undo` is the address of the page that stops what the mail tells of.
    """
    known = locale if locale in CLOSING else "en"
    words = [render(template, locale, hotline=hotline, **values)]
    words += [UNDO[known].format(undo=undo)] if undo else []
    words.append((CLOSING_WITH if undo else CLOSING)[known].format(hotline=hotline))
    return "\n\n".join(words) + "\n"
