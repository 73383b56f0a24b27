"""How a person, clothes and a place become a picture with known keypoints: a small software renderer."""
