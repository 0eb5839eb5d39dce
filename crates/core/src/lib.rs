//! Reuse the lower layers of a pretrained network.
