"""Two words that a ticket's page and its agent's screen show alike, so that one knows who calls.

Keyed digest of ticket and day: whoever does not see one of the two screens has one chance in 4,096.
"""

from __future__ import annotations

from datetime import date

from django.utils import timezone
from django.utils.translation import get_language

from portal.secrets import keyed_digest

# Short, easy to say and to tell apart by ear, and of no bad omen; the same place is the same thing.
FIRST = {
    "en": (
        "red yellow green blue white black silver golden round square tall short long wide narrow deep"
        " early late fast slow quiet loud bright dark warm cool dry wet new old young soft"
        " hard light heavy sweet salty sour spicy fresh clean smooth thin thick near far empty full"
        " happy calm brave clever kind honest busy lucky little big hidden open"
        " northern southern eastern western"
    ).split(),
    "zh-hans": (
        "红色 黄色 绿色 蓝色 白色 黑色 银色 金色 圆的 方的 高的 矮的 长的 宽的 窄的 深的"
        " 早的 晚的 快的 慢的 安静 响亮 明亮 昏暗 温暖 凉爽 干的 湿的 新的 旧的 年轻 软的"
        " 硬的 轻的 重的 甜的 咸的 酸的 辣的 新鲜 干净 光滑 薄的 厚的 近的 远的 空的 满的"
        " 开心 平静 勇敢 聪明 善良 诚实 忙碌 幸运 小小 大大 隐藏 敞开 北方 南方 东方 西方"
    ).split(),
}
SECOND = {
    "en": (
        "apple pear peach melon grape orange lemon banana rice noodle bread soup tea coffee honey sugar"
        " river lake ocean island mountain forest desert bridge road village city garden window door"
        " table chair"
        " horse tiger rabbit monkey elephant panda eagle swan fish turtle butterfly bee pine bamboo lotus"
        " rose"
        " sun moon star cloud rain snow wind thunder boat train bicycle plane drum bell lamp umbrella"
    ).split(),
    "zh-hans": (
        "苹果 梨子 桃子 西瓜 葡萄 橙子 柠檬 香蕉 米饭 面条 面包 热汤 茶叶 咖啡 蜂蜜 白糖"
        " 河流 湖水 海洋 岛屿 高山 森林 沙漠 大桥 马路 村庄 城市 花园 窗户 大门 桌子 椅子"
        " 骏马 老虎 兔子 猴子 大象 熊猫 老鹰 天鹅 鲤鱼 乌龟 蝴蝶 蜜蜂 松树 竹子 荷花 玫瑰"
        " 太阳 月亮 星星 白云 下雨 雪花 大风 雷声 小船 火车 单车 飞机 大鼓 铃铛 台灯 雨伞"
    ).split(),
}
PLACES = 64


def of_ticket(ticket_number: str, language: str = "", day: date | None = None) -> str:
    """The two words of a ticket on a day (today), in a language (the page's)."""
    today = (day or timezone.localdate()).isoformat()
    drawn = int(keyed_digest("two-words", ticket_number, today)[:8], 16)
    spoken = language or get_language() or ""
    known = spoken if spoken in FIRST else "en"
    first, second = FIRST[known][drawn % PLACES], SECOND[known][drawn // PLACES % PLACES]
    return f"{first} {second}"


def in_both(ticket_number: str) -> list[str]:
    """The same in every language there is, Chinese first: an agent may read another one than the caller."""
    return [of_ticket(ticket_number, language) for language in ("zh-hans", "en")]
