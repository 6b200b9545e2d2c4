"""What is drawn when: mixtures, orders, pairs."""
