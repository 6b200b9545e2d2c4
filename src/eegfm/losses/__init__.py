"""Floor 3: losses, pure functions of tensors. Modules with weights around them are objectives and heads."""
