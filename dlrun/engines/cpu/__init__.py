"""Training steps compiled for the processor, by LLVM: one call trains a replica through an epoch."""
