"""Rights: groups, grants, and which nodes these reach."""
