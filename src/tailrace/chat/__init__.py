"""The use "chat": answers of model APIs, relayed, kept and found again."""
