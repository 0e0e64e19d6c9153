"""Error rates, coverage, faults and speed of `shelfrank experiment`, on logs whose truth is planted."""
