"""The graph, what runs it on one machine, and the command line."""
