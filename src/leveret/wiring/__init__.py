"""The only floor that knows every part: names and URLs become parts, parts become services."""
