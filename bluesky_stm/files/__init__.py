"""Readers and writers of microscope files."""
