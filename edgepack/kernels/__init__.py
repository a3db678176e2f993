"""Our own quantizer, in C: many blocks side by side, with the pinned ggml's bits. It knows no ggml and no model."""
