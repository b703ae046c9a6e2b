"""Agents: where to measure next."""
