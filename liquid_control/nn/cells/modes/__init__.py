"""The update rules of a CfC, one file each; `registry` knows them by name."""
