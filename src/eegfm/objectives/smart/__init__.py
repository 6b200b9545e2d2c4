"""Element-wise masking in latent space: what is missing here and there, as a teacher sees it."""
