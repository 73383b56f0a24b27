"""Body poses: the COCO skeleton, and the network that finds it in photos."""
