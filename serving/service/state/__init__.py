"""What the service knows of shoppers and products, and the events that change it."""
