"""Engine, mounts and companions in the background."""
