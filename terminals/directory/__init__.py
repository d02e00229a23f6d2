"""The contact directory. Beginnings of serial numbers are facts about terminals, so it lives here."""
