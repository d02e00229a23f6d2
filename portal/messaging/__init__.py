"""Messages to people: templates, gateways, the outbox and delivery receipts."""
