"""The pages of runs, and what other pages show of them."""
