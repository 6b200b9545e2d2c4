"""Floor 3: channel adapters, which map the channels of any montage to the channels that an encoder takes."""
