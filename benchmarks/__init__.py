"""Measurements: how fast dlrun is beside its peers, and how often its statistics keep their promises."""
