"""What happened to a shop, from the audit trail, for its owner: the rows about them, in plain words."""
