"""Read the exposure log by shopper: `shelfrank experiment`."""
