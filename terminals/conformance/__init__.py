"""The conformance kit: a server that tests a terminal, and a terminal that tests a server. No Django here."""
