"""What pages are made of: frame and view, tables, forms, acts and their dialogs."""
