"""The drop-in for ncps against ncps itself, network by network, in one run."""
