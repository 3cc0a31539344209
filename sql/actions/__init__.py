"""Actions, their history, results and labels."""
