"""Built versions: preview, export, verification, comparison, lineage, retirement."""
