"""How much is claimed, and what becomes of claims that no slot begins."""
