"""The layouts: each module is one, its id is the module's name, and its object is `LAYOUT`."""
