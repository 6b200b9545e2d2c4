"""Electrodes: names, positions, canonical montages, splines, derivations."""
