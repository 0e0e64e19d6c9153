"""Keep the state of shoppers and products, and record the events that change it."""
