"""The paper, one file a figure or theorem."""
