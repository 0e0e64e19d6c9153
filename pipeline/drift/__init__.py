"""Read a window of served requests, and compare it with what a release was made from: `shelfrank drift`."""
