"""What every folder stands on. It imports none of ours."""
