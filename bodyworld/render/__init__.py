"""A small software renderer: from a person, clothes and a place to a picture with known keypoints."""
