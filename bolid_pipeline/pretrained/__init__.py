"""Pretrained weights: files that are checked before they are opened, and the YOLO networks that load them."""
