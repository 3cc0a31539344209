"""Actions of SQL alone, and dry runs."""
