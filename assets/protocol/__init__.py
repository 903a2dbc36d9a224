"""What may be observed, what is forecast, and on which side of the split each item lies."""
