"""Pass rows from the blocks of one step to those of the next: by files on one machine, by the engine on a cluster."""
