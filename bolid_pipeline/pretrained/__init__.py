"""Pretrained weights: files that are checked before they are opened, and the devices that run them."""
