"""The server as a background process and as a unit of the machine."""
