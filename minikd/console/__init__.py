"""Terminal output, and interrupts."""
