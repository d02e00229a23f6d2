"""The demo's people and its till, as `loaddemo` left them, and what a newcomer is told about them."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import call_command

from portal.supervisor import parts
from portal.supervisor.ground import write_once


@dataclass(frozen=True, slots=True)
class Demo:
    """What is in `demo.json`."""

    facts: dict[str, Any]
    var: Path

    @classmethod
    def read(cls, var: Path) -> Demo:
        """Raises OSError when the demo was never loaded."""
        return cls(json.loads((var / "demo.json").read_text("utf-8")), var)

    @property
    def till(self) -> Path:
        """The till's memory."""
        return self.var / "till"

    def till_command(self, url: str) -> list[str]:
        """The simulator's command line; a till without a memory gets a pairing code and operators."""
        terminal = self.facts["terminal"]
        command = parts.simulator(url, self.till, terminal["serial"])
        if not self.till.exists():
            code = io.StringIO()
            call_command("pairingcode", terminal["number"], "--plain", stdout=code)
            command += ["--pairing-code", code.getvalue().strip(), "--operators-file", str(self._operators())]
        return command

    def _operators(self) -> Path:
        path = self.var / "till-operators"
        lines = [f"{one['number']}={one['password']}:{one['name']}" for one in self.facts["operators"]]
        path.unlink(missing_ok=True)
        write_once(path, "\n".join(lines))
        return path

    def welcome(self, origin: str) -> str:
        """Where to go and who to be, in Chinese and English."""
        merchant, terminal = self.facts["merchant"], self.facts["terminal"]
        owner, staff = self.facts["owner"], self.facts["staff"]
        example = next(one for one in self.facts["operators"] if one["number"] not in {"00", "99"})
        till = os.path.relpath(self.till)
        return f"""
  Rekey 已启动 · is running                               Ctrl-C 停止 · stops everything

  忘记操作员密码 · forgot an operator password            {origin}/
      商户号 merchant number  {merchant["number"]}   {merchant["name"]}
      登记手机 registered phone {merchant["phone"]}
  商户登录 · owner sign-in                                {origin}/sign-in
      {owner["username"]}   {owner["password"]}
  开户邀请 · an invitation to try, good for one account   {origin}/join
      {self.facts.get("invitation", "–")}
  客服后台 · support desk                                 {origin}/admin/
      {staff["username"]}   {staff["password"]}
  验证码 · codes appear below and in {os.path.relpath(self.var / "sms.log")}; nothing leaves this machine
  收银终端 · the till: {terminal["name"]} {terminal["number"]}, its screen and a sign-on:
      .venv/bin/python -m terminals.simulator screen --state {till}
      .venv/bin/python -m terminals.simulator signon --state {till} {example["number"]} {example["password"]}
      这是终端首次启动时的密码 · that is the password of its first start, until you reset it
      .venv/bin/python -m terminals.simulator forgot --state {till} {example["number"]}
      再看一次屏幕：扫码找回 · look at the screen again: a code to scan
"""
