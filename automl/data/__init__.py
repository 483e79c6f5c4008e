"""What a search learns from: sources of data, decoding, splits, and the tensors that stay on the device."""
