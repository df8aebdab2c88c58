"""Commands that measure: each prints a table, writes JSON and a plot into docs/."""
