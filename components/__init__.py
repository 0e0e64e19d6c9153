"""The TFX components of ShelfRank and the pure steps inside them."""
