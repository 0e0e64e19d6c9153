"""Starting from the champion's weights."""
