"""Auxiliary heads: labels of persons and recordings, predicted from pooled features beside any objective."""
