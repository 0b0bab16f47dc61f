"""The judge for tables: numbers of rows as they are, float64 (n, c), NaN where a value is missing; no files."""
