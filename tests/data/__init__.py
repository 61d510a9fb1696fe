"""Tests; the folders mirror src/digitlab."""
