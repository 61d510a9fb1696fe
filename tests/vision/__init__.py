"""Tests of digitlab.vision."""
