"""What a layout is given and what it gives."""
