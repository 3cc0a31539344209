"""The work folder of a batch, and storing a folder of our own."""
