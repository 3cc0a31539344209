"""How the mount reads: one child process for each disk, and the choice between them."""
