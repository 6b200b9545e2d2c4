"""Electrodes: names, places, canonical montages, splines, derivations."""
