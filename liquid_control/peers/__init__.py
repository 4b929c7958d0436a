"""Controllers of others, flown in the same worlds; each needs a package of its own"""
