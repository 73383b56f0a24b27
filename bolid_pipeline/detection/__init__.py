"""Detectors of faces, persons and poses: one interface over YOLO, RT-DETR, ViTPose and YuNet networks."""
