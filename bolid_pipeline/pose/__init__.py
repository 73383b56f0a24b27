"""Where the body is: the COCO skeleton, and the network that finds it."""
