"""From a definition to the chosen files: candidates, labels, splits, report."""
